// Runs for a while, then dies: crasher [SECONDS [CODE | trap]]
//
// SECONDS is 1 by default; then it exits with CODE (1 by default), or traps as a broken program does.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    int trap = argc > 2 && strcmp(argv[2], "trap") == 0;
    int code = argc > 2 ? atoi(argv[2]) : 1;
    printf("crashing in %g s\n", seconds);
    fflush(stdout);
    struct timespec pause = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
    if (trap) {
        fprintf(stderr, "crashed by a trap\n");
        __builtin_trap();
    }
    fprintf(stderr, "crashed with exit code %d\n", code);
    return code;
}
