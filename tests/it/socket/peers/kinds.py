"""Sends twelve kinds of descriptor over the socket that is its stdin, each with the name of its kind."""
import errno, fcntl, os, socket, sys

F_ADD_SEALS = 1033
SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE = 1, 2, 4, 8, 16
MFD_NOEXEC_SEAL = 8
sock = socket.socket(fileno=0)


def send(kind, fd):
    socket.send_fds(sock, [kind.encode()], [fd])


def memfd(seals, flags=os.MFD_ALLOW_SEALING):
    fd = os.memfd_create("python", flags | os.MFD_CLOEXEC)
    os.write(fd, b"from Python")
    if seals:
        fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


def with_exec(seals):
    try:
        return memfd(seals, MFD_NOEXEC_SEAL)
    except OSError as error:
        # Linux before 6.3 does not have this seal.
        if error.errno != errno.EINVAL:
            raise
        return memfd(seals)


def reopened(fd, flags):
    return os.open(f"/proc/self/fd/{fd}", flags)


def hole():
    fd = os.memfd_create("python", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 4096)
    fcntl.fcntl(fd, F_ADD_SEALS, SHRINK | GROW | WRITE)
    return fd


sealed = memfd(SEAL | SHRINK | GROW | WRITE)
send("sealed", sealed)
send("sealed, with Exec", with_exec(SEAL | SHRINK | GROW | WRITE))
send("Shrink and Write alone", memfd(SHRINK | WRITE))
send("through a read-only descriptor", reopened(sealed, os.O_RDONLY))
send("no seals", memfd(0))
send("not sealable", memfd(0, 0))
send("without Shrink", memfd(GROW | WRITE))
send("FutureWrite instead of Write", memfd(SHRINK | GROW | FUTURE_WRITE))
send("a hole", hole())
send("a file on disk", os.open(sys.executable, os.O_RDONLY))
send("a pipe", os.pipe()[0])
send("O_PATH", reopened(sealed, os.O_PATH))
