package testservers

import (
	"fmt"
)

// Kill ends the server and all its processes by SIGKILL, as a crash of the
// whole program would, and waits until they are gone. Its files stay; Restart
// brings it back through crash recovery.
func (p *Postgres) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.mustRun("kill"); err != nil {
		return err
	}
	err := p.process.kill()
	p.process = nil
	if err != nil {
		return fmt.Errorf("kill %s: %w", p.o.Name, err)
	}
	p.o.Log.Info("server killed", "server", p.o.Name)
	return nil
}

// Pause freezes every process of the server: connections stay open and nothing
// answers. It returns when all are frozen.
func (p *Postgres) Pause() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.mustRun("pause"); err != nil {
		return err
	}
	if err := p.process.pause(); err != nil {
		return fmt.Errorf("pause %s: %w", p.o.Name, err)
	}
	p.o.Log.Info("server paused", "server", p.o.Name)
	return nil
}

// Resume undoes Pause.
func (p *Postgres) Resume() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.mustRun("resume"); err != nil {
		return err
	}
	if err := p.process.resume(); err != nil {
		return fmt.Errorf("resume %s: %w", p.o.Name, err)
	}
	p.o.Log.Info("server resumed", "server", p.o.Name)
	return nil
}

// mustRun reports why there is no process to act on. The caller holds mu.
func (p *Postgres) mustRun(verb string) error {
	switch {
	case p.watchdog == nil:
		return fmt.Errorf("%s %s: %w", verb, p.o.Name, ErrExternal)
	case p.process == nil:
		return fmt.Errorf("%s %s: server is stopped", verb, p.o.Name)
	}
	return nil
}
