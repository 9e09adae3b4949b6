"""The peer at the other end of the socket that is its stdin: receives a file, reports on it, and sends three files."""
import fcntl, mmap, os, socket, sys

F_ADD_SEALS, F_GET_SEALS = 1033, 1034
sock = socket.socket(fileno=0)
payload, fds, flags, _ = socket.recv_fds(sock, 64, 4)
fd, = fds
size = os.fstat(fd).st_size
with mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ) as view:
    print(payload.decode(), view[:].decode(), fcntl.fcntl(fd, F_GET_SEALS) & 0xf, flush=True)


def memfd(text, seals):
    fd = os.memfd_create("python", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, text)
    fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


sealed = memfd(b"from Python", 0xf)
socket.send_fds(sock, [b"sealed"], [sealed])
socket.send_fds(sock, [b"unsealed"], [memfd(b"can change", 2)])
socket.send_fds(sock, [b"two"], [sealed, sealed])
