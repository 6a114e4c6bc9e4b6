/* Runs in a container and looks at every process that appears there, from the first moment on: tells what it can reach of
 * the host through one. The argument is the capabilities that processes there may have, in hexadecimal. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned long allowed;
static struct stat own_root;
static int before_its_program;
static int program = -1;
static int kept;

static int starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Says that the process is pid 1, in whatever is listened to, and keeps it open. */
static void lie_into(const char *link) {
    static const int first = 1;
    int pipe = kept < 200 ? open(link, O_WRONLY | O_NONBLOCK) : -1;
    if (pipe >= 0) {
        kept++;
        if (write(pipe, &first, sizeof first) < 0)
            return;
    }
}

static void look_at_descriptors(int pid) {
    char path[64], target[512];
    int pipes = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *directory = opendir(path);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char link[600];
        snprintf(link, sizeof link, "%s/%s", path, entry->d_name);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = 0;
        /* The last exec makes that file, which ends the watch. */
        if (!starts(target, "pipe:") && strcmp(target, "/tmp/stop") && !starts(target, "/dev/null") && !starts(target, "/dev/pts/"))
            printf("descriptor %s of %d leads to %s\n", entry->d_name, pid, target);
        if (starts(target, "pipe:") && atoi(entry->d_name) > 2) {
            lie_into(link);
            if (++pipes > 1)
                printf("%d has more open than its streams and a pipe\n", pid);
        }
    }
    closedir(directory);
}

static void look_at_capabilities(int pid) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    int file = open(path, O_RDONLY);
    if (file < 0)
        return;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return;
    text[length] = 0;
    static const char *const sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:"};
    for (int number = 0; number < 4; number++) {
        char *line = strstr(text, sets[number]);
        unsigned long set = line ? strtoul(line + strlen(sets[number]), 0, 16) : 0;
        if (set & ~allowed)
            printf("%d has %s %lx\n", pid, sets[number], set);
    }
    if (strstr(text, "\nSeccomp:\t0"))
        printf("%d has no filter\n", pid);
}

static void look_at_roots(int pid) {
    static const char *const links[] = {"root", "cwd"};
    for (int number = 0; number < 2; number++) {
        char path[64];
        struct stat found;
        snprintf(path, sizeof path, "/proc/%d/%s", pid, links[number]);
        if (stat(path, &found) == 0 && (found.st_dev != own_root.st_dev || found.st_ino != own_root.st_ino))
            printf("%s of %d is elsewhere\n", links[number], pid);
    }
}

/* Whether there is such a process. */
static int look(int pid) {
    char path[64], target[512];
    if (kill(pid, 0) != 0)
        return 0;
    look_at_descriptors(pid);
    look_at_capabilities(pid);
    look_at_roots(pid);
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length > 0) {
        target[length] = 0;
        if (strstr(target, "berth-shim")) {
            before_its_program++;
            if (program < 0)
                program = open(path, O_RDONLY);
        }
    }
    return 1;
}

/* Tries to change the program of those that enter, once nobody runs it. */
static void attack_program(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", program);
    for (int attempt = 0; program >= 0 && attempt < 1000; attempt++) {
        if (open(path, O_WRONLY) >= 0) {
            printf("the program can be written\n");
            break;
        }
        if (errno != ETXTBSY)
            break;
        usleep(1000);
    }
    if (program >= 0 && fchmod(program, 0) == 0)
        printf("the program can be taken away\n");
}

int main(int count, char **arguments) {
    allowed = count > 1 ? strtoul(arguments[1], 0, 16) : 0;
    stat("/", &own_root);
    printf("watching\n");
    fflush(stdout);
    int next = getpid() + 1, seen = 0;
    while (access("/tmp/stop", F_OK) != 0) {
        int there = 0;
        while (look(next))
            there = 1;
        if (there || kill(next + 1, 0) == 0) {
            seen += there;
            next++;
        }
    }
    attack_program();
    printf("saw %d processes, %d times before they ran their program\n", seen, before_its_program);
    return 0;
}
