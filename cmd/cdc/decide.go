package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"cdc/changelog"
	"cdc/changelog/disklog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/materialize"
	"cdc/schema"
	"cdc/sources"
)

// Actions of decisions.
const (
	actionRecopy    = "recopy"
	actionAcceptGap = "accept-gap"
	actionDrop      = "drop"
	actionRetry     = "retry" // of a sink; nothing is recorded
)

// maxTagBytes bounds the name of a tag.
const maxTagBytes = 128

// appendTag records a tag and returns when it is durable.
func appendTag(ctx context.Context, log *disklog.Log, r client.TagRequest) error {
	if err := checkTag(r.Name); err != nil {
		return err
	}
	if bounds := log.Bounds(); r.Offset < bounds.First || r.Offset >= bounds.Next {
		return &exit.Error{Code: exit.Moment, What: fmt.Sprintf("offset %d is not in the log, which holds %s", r.Offset, bounds)}
	}
	var unit changelog.UnitBuilder
	unit.Reset(changelog.UnitControl)
	unit.AddTag(changelog.Tag{Name: r.Name, Offset: r.Offset})
	return appendDurably(ctx, log, &unit)
}

func checkTag(name string) error {
	odd := func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }
	if name == "" || len(name) > maxTagBytes || strings.TrimSpace(name) != name || strings.ContainsFunc(name, odd) {
		return &exit.Error{Code: exit.Usage, What: fmt.Sprintf("%q is no name for a tag", name), Remedy: fmt.Sprintf("use up to %d bytes of printable text", maxTagBytes)}
	}
	return nil
}

func appendDurably(ctx context.Context, log *disklog.Log, unit *changelog.UnitBuilder) error {
	n, err := log.Append(ctx, unit)
	if err != nil {
		return err
	}
	return log.WaitDurable(ctx, n)
}

// appendDecision records what an operator decided about a source and returns when it is durable.
func appendDecision(ctx context.Context, log *disklog.Log, r client.ResolveRequest) error {
	info, err := sourceNamed(log.Catalog(), r.Source)
	if err != nil {
		return err
	}
	decision := changelog.Decision{Action: r.Action, Detail: r.Table, At: changelog.MicrosOf(time.Now())}
	if r.Table != "" {
		t, err := tableNamed(log, info.Name, r.Table)
		if err != nil {
			return err
		}
		decision.Table = t.ID
	}
	if r.Action == changelog.ActionReread {
		decision.Detail = r.Where
		if err := checkReread(log, info, decision); err != nil {
			return err
		}
	}
	if r.Action == actionAcceptGap && len(openStops(log.Catalog(), info)) == 0 {
		return &exit.Error{Code: exit.Usage, What: "source " + info.Name + " is in no named stop", Remedy: "'cdc status' shows its stops; --recopy copies it again without one"}
	}
	var unit changelog.UnitBuilder
	unit.Reset(changelog.UnitControl)
	unit.Meta.Source, unit.Meta.Epoch = info.ID, info.Epoch
	unit.AddDecision(decision)
	return appendDurably(ctx, log, &unit)
}

// checkReread refuses to have rows read again where it can be told without the server that they cannot be.
func checkReread(log changelog.Log, info changelog.SourceInfo, d changelog.Decision) error {
	refuse := func(why string) error { return &exit.Error{Code: exit.Usage, What: why, Where: "source " + info.Name} }
	k, ok := kindOf(info.Kind)
	if !ok {
		return notInBuild("source " + info.Name + " of kind " + info.Kind)
	}
	if err := k.predicates.Check(d.Detail); err != nil {
		return refuse(err.Error())
	}
	t, ok := log.Catalog().TableAt(d.Table, log.Bounds().Next-1)
	switch {
	case !ok || !t.Answerable():
		return refuse(sources.WhyNotHeld)
	case len(t.Table.KeyColumns()) == 0:
		return refuse(sources.WhyKeyless)
	}
	return nil
}

// sourceNamed is the source of that name, or an error that lists those there are.
func sourceNamed(catalog *changelog.Catalog, name string) (changelog.SourceInfo, error) {
	if info, ok := catalog.Source(name); ok {
		return info, nil
	}
	var names []string
	for _, info := range catalog.Sources() {
		names = append(names, info.Name)
	}
	remedy := "the log holds no source yet"
	if len(names) > 0 {
		remedy = "the log holds " + strings.Join(names, ", ")
	}
	return changelog.SourceInfo{}, &exit.Error{Code: exit.Usage, What: fmt.Sprintf("there is no source %q", name), Remedy: remedy}
}

// tableNamed is the source's table of that name, or that of any source when none is given: schema.table, or the table's own name
// where it is unique, as it is or as 'cdc tables' prints it. One that the source has dropped does not count, as another may have its
// name by now.
func tableNamed(log changelog.Log, source, name string) (*schema.Table, error) {
	found := tablesWhere(log, source, func(t *schema.Table) bool {
		full := tableName(t)
		return name == t.Name || name == full || name == t.Source+"."+full
	})
	if len(found) != 1 {
		written := tablesWhere(log, source, func(t *schema.Table) bool { return materialize.Means(name, t) })
		if len(found) == 0 || len(written) == 1 {
			found = written
		}
	}
	switch len(found) {
	case 0:
		what := "no source has a table " + name
		if source != "" {
			what = fmt.Sprintf("source %s has no table %s", source, name)
		}
		return nil, &exit.Error{Code: exit.Usage, What: what, Remedy: "'cdc tables' lists what the log holds"}
	case 1:
		return found[0], nil
	}
	return nil, &exit.Error{
		Code: exit.Usage, What: fmt.Sprintf("%s could mean %s or %s", name, found[0].FullName(), found[1].FullName()),
		Remedy: "name it as one of them",
	}
}

// tablesWhere are the source's tables, or those of all sources, that are not dropped and of which the condition holds.
func tablesWhere(log changelog.Log, source string, holds func(*schema.Table) bool) (found []*schema.Table) {
	for _, t := range log.Catalog().TablesAt(log.Bounds().Next - 1) {
		if t.State.State != changelog.TableDropped && (source == "" || t.Table.Source == source) && holds(t.Table) {
			found = append(found, t.Table)
		}
	}
	return found
}

// appendDrop records that the source was dropped, if the log knows it, and forgets what is derived from it.
func appendDrop(ctx context.Context, log *disklog.Log, name, stateDir string) error {
	if info, ok := log.Catalog().Source(name); ok {
		var unit changelog.UnitBuilder
		unit.Reset(changelog.UnitControl)
		unit.Meta.Source, unit.Meta.Epoch = info.ID, info.Epoch
		unit.AddDecision(changelog.Decision{Action: actionDrop, At: changelog.MicrosOf(time.Now())})
		if err := appendDurably(ctx, log, &unit); err != nil {
			return err
		}
	}
	return os.RemoveAll(stateDir)
}

// Tag implements server.Run.
func (c *capture) Tag(ctx context.Context, r client.TagRequest) error {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	return appendTag(ctx, c.log, r)
}

// Resolve implements server.Run: the source goes on at once. One that streams finds a decision about a table by itself and need not
// be interrupted for it.
func (c *capture) Resolve(ctx context.Context, r client.ResolveRequest) error {
	if r.Action == actionRetry {
		return c.retry(r.Source)
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if err := appendDecision(ctx, c.log, r); err != nil {
		return err
	}
	s := c.find(r.Source)
	if s == nil || r.Table != "" && s.state().phase == sources.PhaseStreaming {
		return nil
	}
	return s.interrupt(ctx, errRestart)
}

func (c *capture) find(name string) *captured {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sources {
		if s.spec.Name == name {
			return s
		}
	}
	return nil
}

// Drop implements server.Run: the source is ended, its server is tidied, and the rest goes on.
func (c *capture) Drop(ctx context.Context, r client.DropRequest) error {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	spec, err := c.specOf(r.Source)
	if err != nil {
		return err
	}
	s := c.find(r.Source)
	if s != nil {
		err = s.interrupt(ctx, errDropped)
	}
	if err == nil {
		err = tidyServer(ctx, c.app, spec, c.log, r.Force)
	}
	if err != nil {
		if s != nil {
			s.revive()
		}
		return err
	}
	if err := appendDrop(ctx, c.log, r.Source, c.stateDir(r.Source)); err != nil {
		return err
	}
	c.mu.Lock()
	c.sources = slices.DeleteFunc(c.sources, func(s *captured) bool { return s.spec.Name == r.Source })
	c.known = config.Forget(c.known, r.Source)
	known := c.known
	c.mu.Unlock()
	if err := config.WriteKnown(c.app.Data, known); err != nil {
		return err
	}
	c.judge()
	return nil
}

// specOf is the source as this run has it, or as the folder keeps it.
func (c *capture) specOf(name string) (config.Source, error) {
	if s := c.find(name); s != nil {
		return s.spec, nil
	}
	return c.app.knownSource(name)
}

// WaitDurable implements server.Run.
func (c *capture) WaitDurable(ctx context.Context, n changelog.Offset) error {
	return c.log.WaitDurable(ctx, n)
}

// Next implements server.Run.
func (c *capture) Next() changelog.Offset { return c.log.Bounds().Next }

// tidyServer removes what the source holds at its server. With force, a server that cannot be reached is no obstacle.
func tidyServer(ctx context.Context, app *App, spec config.Source, log changelog.Log, force bool) error {
	err := dropSource(ctx, spec, log, app.Logger)
	if err == nil {
		return nil
	}
	if force {
		app.Logger.Warn("what the source holds at its server stays there", "source", spec.Name, "err", err)
		return nil
	}
	e := *exit.Of(err)
	if e.Code == exit.Bug {
		e.Code = exit.Unreachable
	}
	e.Where = "source " + spec.Name
	e.Remedy = strings.TrimPrefix(e.Remedy+"; 'cdc drop "+spec.Name+" --force' forgets it here and leaves at the server what it holds there", "; ")
	e.Err = err
	return &e
}

// knownSource is a source as the folder keeps it, with its secrets from the environment.
func (a *App) knownSource(name string) (config.Source, error) {
	known, err := config.ReadKnown(a.Data)
	if err != nil {
		return config.Source{}, err
	}
	names := make([]string, 0, len(known))
	for _, k := range known {
		names = append(names, k.Name)
	}
	i := slices.Index(names, name)
	if i < 0 {
		return config.Source{}, &exit.Error{
			Code: exit.Usage, What: fmt.Sprintf("the folder keeps no source %q", name), Where: a.Data, Remedy: "it keeps " + orNone(strings.Join(names, ", ")),
		}
	}
	cfg, err := config.Load(config.Request{Known: known[i : i+1], LookupEnv: a.LookupEnv, Environ: a.Environ()})
	if err != nil {
		return config.Source{}, err
	}
	return cfg.Sources[0], nil
}
