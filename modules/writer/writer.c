// Appends a line to a file in a volume, again and again: writer [-latest] [FILE [SECONDS [COUNT]]]
//
// FILE is /data/lines by default, SECONDS 1, COUNT without end. With -latest the file holds the newest line only; it is
// replaced by a rename, so that a reader never sees half of it.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int write_line(const char *file, int latest, const char *line) {
    char path[512];
    snprintf(path, sizeof path, latest ? "%s.new" : "%s", file);
    FILE *out = fopen(path, latest ? "w" : "a");
    if (out == NULL) return -1;
    int failed = fputs(line, out) < 0;
    failed |= fclose(out) != 0;
    if (!failed && latest) failed = rename(path, file) != 0;
    return failed ? -1 : 0;
}

int main(int argc, char **argv) {
    int latest = argc > 1 && strcmp(argv[1], "-latest") == 0;
    argv += latest, argc -= latest;
    const char *file = argc > 1 ? argv[1] : "/data/lines";
    double seconds = argc > 2 ? atof(argv[2]) : 1;
    long count = argc > 3 ? atol(argv[3]) : -1;
    const char *pod = getenv("HOSTNAME");
    for (long number = 1; count < 0 || number <= count; number++) {
        char line[256];
        snprintf(line, sizeof line, "line %ld from %s\n", number, pod ? pod : "unknown");
        if (write_line(file, latest, line) < 0) {
            fprintf(stderr, "%s: %s (is a volume mounted there, and not readOnly?)\n", file, strerror(errno));
            return 1;
        }
        printf("wrote %s", line);
        fflush(stdout);
        struct timespec pause = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
        nanosleep(&pause, NULL);
    }
    return 0;
}
