// Runs SQL on a database file with SQLite and prints the rows: sqlite FILE SQL...
//
// SQLite is the third party; this is all it needs to become a program.
#include <stdio.h>

#include "sqlite3.h"

static int print_row(void *unused, int columns, char **values, char **names) {
    (void)unused, (void)names;
    for (int i = 0; i < columns; i++) printf("%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
    return printf("\n") < 0;
}

int main(int argc, char **argv) {
    sqlite3 *database;
    if (argc < 3) {
        fprintf(stderr, "usage: sqlite FILE SQL...\n");
        return 2;
    }
    int failed = sqlite3_open(argv[1], &database);
    for (int i = 2; i < argc && !failed; i++) failed = sqlite3_exec(database, argv[i], print_row, NULL, NULL);
    if (failed) fprintf(stderr, "%s: %s\n", argv[1], sqlite3_errmsg(database));
    sqlite3_close(database);
    return failed != 0;
}
