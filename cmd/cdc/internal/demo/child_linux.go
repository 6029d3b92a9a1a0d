package demo

import "syscall"

// childAttributes keep an interrupt of the terminal from the capture, which we end ourselves, and end it with us however we end.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
