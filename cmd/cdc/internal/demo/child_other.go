//go:build !linux

package demo

import "syscall"

// childAttributes are the system's own.
func childAttributes() *syscall.SysProcAttr { return nil }
