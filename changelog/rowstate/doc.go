// Package rowstate keeps the latest rows of tables. What it holds is derived from the log, checkpointed, and rebuilt from it.
//
// A Store keeps those of one source whose changes the source may send in part, and completes them before they are logged: an unchanged
// TOAST value, a minimal row image. Rows keep all, as of any offset that a reader of the log goes on from, and complete its old rows.
package rowstate
