// Package e2e runs the built program against real servers. Its tests have the
// build tag e2e; see CONTRIBUTING.md for how to run them.
//
// Some faults of MySQL and MariaDB are tested elsewhere, or not at all:
//
//   - A transaction of more than 4 GiB, whose positions wrap around, and a
//     compressed one that is a bomb would fill the disk or take minutes to make:
//     the tests of sources/mysql/binlog make their events.
//   - A binlog that lost its end with the machine's power (sync_binlog = 0): a
//     killed server loses nothing, since the kernel keeps what was written.
//   - Semi-synchronous replication waits for an acknowledgement that the program
//     never gives; it does not offer to.
//   - MySQL before 9 and MariaDB other than Debian's have no packages here.
package e2e

//go:generate go test . -run DebeziumCompatibilityIsDocumented -count 1 -rewrite
