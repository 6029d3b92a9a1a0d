// Package rowstate keeps the latest row of the keys whose changes a source may send in part, and completes those changes: an
// unchanged TOAST value, a minimal row image. What it holds is derived from the log, checkpointed, and rebuilt from it.
package rowstate
