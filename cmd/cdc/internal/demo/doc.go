// Package demo shows the program on real, busy databases of its own.
//
// It starts a private PostgreSQL server and, where one is installed, a private MySQL or MariaDB, lets a small shop do business on
// them, captures both with this very program as a user would run it, and walks through what can be asked. Every step prints the command that a user would type and then runs it: no
// output is made up, and Run fails when a step does. A shop is the load, a warehouse the part of it in MySQL, a player runs the commands and prints them, a capture is
// the running 'cdc run'.
package demo
