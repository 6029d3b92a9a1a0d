// Package e2e runs the built program against real servers. Its tests have the
// build tag e2e; see CONTRIBUTING.md for how to run them.
package e2e
