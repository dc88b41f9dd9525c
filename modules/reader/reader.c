// Follows a file in a volume and prints each line that is added to it: reader [FILE [SECONDS [COUNT]]]
//
// FILE is /data/lines by default; it looks for more every SECONDS (0.2) and ends after COUNT lines, or never.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Prints the whole lines of `file` past `offset` and returns where the next one begins.
static long print_from(const char *file, long offset, long *left) {
    FILE *in = fopen(file, "r");
    if (in == NULL) {
        if (errno == ENOENT) return offset;
        fprintf(stderr, "%s: %s\n", file, strerror(errno));
        exit(1);
    }
    char line[4096];
    fseek(in, offset, SEEK_SET);
    while (*left != 0 && fgets(line, sizeof line, in) != NULL && strchr(line, '\n') != NULL) {
        printf("read %s", line);
        offset += strlen(line);
        *left -= *left > 0;
    }
    fclose(in);
    fflush(stdout);
    return offset;
}

int main(int argc, char **argv) {
    const char *file = argc > 1 ? argv[1] : "/data/lines";
    double seconds = argc > 2 ? atof(argv[2]) : 0.2;
    long left = argc > 3 ? atol(argv[3]) : -1;
    struct timespec pause = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    for (long offset = 0; left != 0; nanosleep(&pause, NULL)) offset = print_from(file, offset, &left);
    return 0;
}
