/* The peer at the other end of the socket that is its stdin: receives a file, reports on it, and sends three files. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int receive(char *payload, size_t room)
{
    union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control;
    struct iovec iov = { payload, room - 1 };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    ssize_t len = recvmsg(0, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int fd;
    if (len < 0 || !header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof fd))
        fail("recvmsg");
    payload[len] = 0;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

static void send_fds(const char *payload, const int *fds, size_t count)
{
    union { struct cmsghdr header; char space[CMSG_SPACE(2 * sizeof(int))]; } control = { 0 };
    struct iovec iov = { (void *)payload, strlen(payload) };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    if (sendmsg(0, &message, 0) < 0)
        fail("sendmsg");
}

static int make(const char *text, int seals)
{
    int fd = memfd_create("C", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)
        fail("memfd");
    return fd;
}

int main(void)
{
    char payload[64];
    int fd = receive(payload, sizeof payload);
    struct stat stat;
    fstat(fd, &stat);
    const char *text = mmap(NULL, stat.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (text == MAP_FAILED)
        fail("mmap");
    printf("%s %.*s %d\n", payload, (int)stat.st_size, text, fcntl(fd, F_GET_SEALS) & 0xf);

    int sealed = make("from C", 0xf), unsealed = make("can change", F_SEAL_SHRINK), two[2] = { sealed, sealed };
    send_fds("sealed", &sealed, 1);
    send_fds("unsealed", &unsealed, 1);
    send_fds("two", two, 2);
    return 0;
}
