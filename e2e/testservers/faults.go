package testservers

import (
	"context"
	"fmt"
)

// Kill ends the server and all its processes by SIGKILL, as a crash of the
// whole program would, and waits until they are gone. Its files stay; Restart
// brings it back through crash recovery.
func (d *daemon) Kill() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.mustRun("kill"); err != nil {
		return err
	}
	err := d.process.kill()
	d.process = nil
	if err != nil {
		return fmt.Errorf("kill %s: %w", d.name, err)
	}
	d.log.Info("server killed", "server", d.name)
	return nil
}

// Shutdown ends the server as its operator would and keeps its files; Restart
// brings it back.
func (d *daemon) Shutdown(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.mustRun("shut down"); err != nil {
		return err
	}
	return d.stop(ctx)
}

// Pause freezes every process of the server: connections stay open and nothing
// answers. It returns when all are frozen.
func (d *daemon) Pause() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.mustRun("pause"); err != nil {
		return err
	}
	if err := d.process.pause(); err != nil {
		return fmt.Errorf("pause %s: %w", d.name, err)
	}
	d.log.Info("server paused", "server", d.name)
	return nil
}

// Resume undoes Pause.
func (d *daemon) Resume() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.mustRun("resume"); err != nil {
		return err
	}
	if err := d.process.resume(); err != nil {
		return fmt.Errorf("resume %s: %w", d.name, err)
	}
	d.log.Info("server resumed", "server", d.name)
	return nil
}

// mustRun reports why there is no process to act on. The caller holds mu.
func (d *daemon) mustRun(verb string) error {
	switch {
	case d.watchdog == nil:
		return fmt.Errorf("%s %s: %w", verb, d.name, ErrExternal)
	case d.process == nil:
		return fmt.Errorf("%s %s: server is stopped", verb, d.name)
	}
	return nil
}
