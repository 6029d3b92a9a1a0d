// Package demo shows the program on a real, busy database of its own.
//
// It starts a private PostgreSQL server, lets a small shop do business on it, captures the shop with this very program as a user
// would run it, and walks through what can be asked. Every step prints the command that a user would type and then runs it: no
// output is made up, and Run fails when a step does. A shop is the load, a player runs the commands and prints them, a capture is
// the running 'cdc run'.
package demo
