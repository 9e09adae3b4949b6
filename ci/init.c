// The first process of a booted test machine: runs the programs that /programs lists, one after the other, and stops the machine.
// In that file each argument is on a line of its own, and an empty line ends a program.
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 64, LONGEST = 4096 };

static void mount_at(const char *kind, const char *folder) {
    mkdir(folder, 0755);
    mount(kind, folder, kind, 0, NULL);
}

// The second serial port, which the kernel never writes to, with every byte as it is. A machine that has one alone, whose others
// are names without a device, uses that.
static void open_port(void) {
    int port = open("/dev/ttyS1", O_RDWR | O_NOCTTY);
    struct termios raw;
    if (port < 0 || tcgetattr(port, &raw)) {
        port = open("/dev/console", O_RDWR | O_NOCTTY);
        if (port < 0 || tcgetattr(port, &raw))
            return;
    }
    cfmakeraw(&raw);
    tcsetattr(port, TCSANOW, &raw);
    // Input is empty, so that no program waits for it.
    int input = open("/dev/null", O_RDONLY);
    dup2(input, 0);
    dup2(port, 1);
    dup2(port, 2);
    close(input);
    close(port);
}

// The network of this machine alone.
static void raise_loopback(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int any = socket(AF_INET, SOCK_DGRAM, 0);
    ioctl(any, SIOCSIFFLAGS, &request);
    close(any);
}

static int run(char **arguments) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        setsid();
        execv(arguments[0], arguments);
        perror(arguments[0]);
        _exit(127);
    }
    // What a program leaves behind becomes this process's child.
    for (pid_t ended; (ended = wait(&status)) != child;)
        if (ended < 0)
            return 127;
    kill(-child, SIGKILL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(void) {
    char line[LONGEST], *arguments[MOST_ARGUMENTS + 1];
    int count = 0;

    mount_at("proc", "/proc");
    mount_at("sysfs", "/sys");
    mount_at("devtmpfs", "/dev");
    mount_at("tmpfs", "/dev/shm");
    mount_at("tmpfs", "/tmp");
    open_port();
    raise_loopback();
    setenv("PATH", "/bin", 1);
    setenv("MEMFILE_TEST_ROUNDS", "10000", 1);
    // Puts cat, sort and the other names of the one program into /bin.
    if (access("/bin/busybox", X_OK) == 0)
        run((char *[]){"/bin/busybox", "--install", "-s", "/bin", NULL});

    FILE *programs = fopen("/programs", "re");
    while (programs && fgets(line, sizeof line, programs)) {
        line[strcspn(line, "\n")] = 0;
        if (*line && count < MOST_ARGUMENTS) {
            arguments[count++] = strdup(line);
        } else if (count) {
            arguments[count] = NULL;
            printf("memfile-start: %s\n", arguments[0] + 1);
            fflush(stdout);
            int status = run(arguments);
            printf("\nmemfile-exit: %s %d\n", arguments[0] + 1, status);
            fflush(stdout);
            count = 0;
        }
    }
    tcdrain(1);
    reboot(RB_POWER_OFF);
    return 0;
}
