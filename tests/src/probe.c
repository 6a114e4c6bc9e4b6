/* What tests have run inside containers: it makes the system calls that it is told to, by each of the ABIs that the kernel
 * may have, and tells what came of them. Linked statically, and where a 32-bit pointer reaches it. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ARGUMENTS 6

/* What a number can't say: the address of three words for socketcall(2), by the family that they begin with. */
static unsigned int words[64][3];

static uint64_t argument(const char *text) {
    if (text[0] == '@') {
        unsigned int family = (unsigned int)atoi(text + 1) % 64;
        words[family][0] = family;
        words[family][1] = 2; /* SOCK_DGRAM */
        return (uintptr_t)words[family];
    }
    return strtoull(text, NULL, 0);
}

static long native(uint64_t number, const uint64_t *a) {
    long result = syscall((long)number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return result == -1 ? -errno : result;
}

#ifdef __x86_64__
static long i386(uint64_t number, const uint64_t *a) {
    long result;
    register uint64_t ebp asm("r12") = a[5];
    asm volatile("push %%rbp\n\tmov %%r12, %%rbp\n\tint $0x80\n\tpop %%rbp"
                 : "=a"(result)
                 : "a"(number), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4]), "r"(ebp)
                 : "memory", "cc", "r8", "r9", "r10", "r11");
    return (int)result;
}
#else
static long i386(uint64_t number, const uint64_t *a) {
    (void)number, (void)a;
    raise(SIGSEGV);
    return 0;
}
#endif

/* `native:165:0,0` and `i386:21:0,0`: the errno, 0 for success, or the signal that ended it. Each in a process of its own. */
static void call(char *text) {
    char *abi = strtok(text, ":"), *number = strtok(NULL, ":"), *rest = strtok(NULL, ":");
    uint64_t a[ARGUMENTS] = {0};
    int count = 0;
    for (char *word = strtok(rest, ","); word && count < ARGUMENTS; word = strtok(NULL, ","))
        a[count++] = argument(word);
    int answer[2];
    if (pipe(answer)) exit(99);
    pid_t child = fork();
    if (child == 0) {
        long result = (strcmp(abi, "i386") ? native : i386)(strtoull(number, NULL, 0), a);
        int error = result < 0 ? (int)-result : 0;
        _exit(write(answer[1], &error, sizeof error) != sizeof error);
    }
    close(answer[1]);
    int error = 0, status = 0, told = read(answer[0], &error, sizeof error) == sizeof error;
    close(answer[0]);
    waitpid(child, &status, 0);
    if (told)
        printf("%d\n", error);
    else
        printf("signal %d\n", WTERMSIG(status));
}

/* Whoever runs the file gets every capability that is in its inheritable set. */
static int mark(const char *path) {
    const uint32_t all[5] = {0x02000001, 0, 0xffffffff, 0, 0x1ff};
    return setxattr(path, "security.capability", all, sizeof all, 0) ? errno : 0;
}

static int print(const char *path) {
    char text[65536];
    int fd = open(path, O_RDONLY);
    if (fd < 0) return errno;
    ssize_t length = read(fd, text, sizeof text);
    return length < 0 || write(1, text, (size_t)length) != length ? 1 : 0;
}

/* An echo by the socket that the kernel has for who may open no raw one: it adds identifier and checksum. */
static int ping(const char *address) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    unsigned char request[8] = {8}, reply[8] = {0};
    int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    if (fd < 0) return errno;
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1) return EINVAL;
    ssize_t sent = sendto(fd, request, sizeof request, 0, (struct sockaddr *)&to, sizeof to);
    if (sent != sizeof request) return sent < 0 ? errno : EPROTO;
    struct pollfd coming = {.fd = fd, .events = POLLIN};
    if (poll(&coming, 1, 30000) != 1) return ETIMEDOUT;
    ssize_t received = recv(fd, reply, sizeof reply, 0);
    if (received < 0) return errno;
    return received == sizeof reply && reply[0] == 0 ? 0 : EPROTO;
}

int main(int count, char **words_given) {
    if (count == 3 && !strcmp(words_given[1], "mark")) return mark(words_given[2]);
    if (count == 3 && !strcmp(words_given[1], "print")) return print(words_given[2]);
    if (count == 3 && !strcmp(words_given[1], "ping")) return ping(words_given[2]);
    for (int i = 1; i < count; i++) call(words_given[i]);
    return 0;
}
