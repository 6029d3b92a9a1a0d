package sinktest

import (
	"errors"
	"syscall"

	"cdc/changelog/vfs"
	"cdc/sinks"
)

// Disk is the machine's file system as the processes of a test see it, for destinations that are files.
type Disk struct {
	disk      *vfs.Faulty
	processes map[sinks.Sink]*vfs.Faulty
}

// NewDisk makes a disk on which all is well.
func NewDisk() *Disk {
	return &Disk{disk: vfs.NewFaulty(vfs.OS{}), processes: map[sinks.Sink]*vfs.Faulty{}}
}

// Start makes a sink that sees the disk as one process does.
func (d *Disk) Start(open func(vfs.FS) (sinks.Sink, error)) (sinks.Sink, error) {
	process := vfs.NewFaulty(d.disk)
	s, err := open(process)
	if err == nil {
		d.processes[s] = process
	}
	return s, err
}

var errKilled = errors.New("the process was killed")

// Kill ends the sink's process: nothing that it does afterwards reaches the disk, and its lock is free.
func (d *Disk) Kill(s sinks.Sink) {
	d.processes[s].SetHook(func(vfs.Call) error { return errKilled })
	_ = s.Close() // it gives back handles and the lock, as the end of a process does
}

// Refuse makes the disk full.
func (d *Disk) Refuse() {
	d.disk.SetHook(func(c vfs.Call) error {
		if c.Kind&vfs.KindChange == 0 {
			return nil
		}
		return syscall.ENOSPC
	})
}

// Allow ends Refuse.
func (d *Disk) Allow() { d.disk.SetHook(nil) }
