package folder

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"cdc/changelog"
	"cdc/changelog/vfs"
	"cdc/sinks"
)

// commit is the content of the commit file: how far the folder stands. Stored; do not change the names.
type commit struct {
	Format int    `json:"format"`
	Log    string `json:"log,omitempty"`
	// Offset is the last unit of which, as of all before it, everything has arrived.
	Offset changelog.Offset `json:"offset"`
	// Files are those of the last round, which may not all have been renamed.
	Files []finished `json:"files"`
}

// finished is a file that has been completed: From is its name in the working folder, To where readers look for it, under the folder.
type finished struct {
	From string `json:"from"`
	To   string `json:"to"`
}

const (
	commitFormat = 1
	// maxCommitBytes bounds what is read of a commit: a round of a million files.
	maxCommitBytes = 256 << 20
)

// readCommit is the zero value when the folder has none.
func (o *Options) readCommit() (c commit, err error) {
	name := o.state(commitFile)
	text, err := vfs.ReadFile(o.FS, name, maxCommitBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return commit{}, nil
	}
	if err != nil {
		return commit{}, fmt.Errorf("read how far the files stand: %w", err)
	}
	if err := json.Unmarshal(text, &c); err != nil || c.Format != commitFormat {
		problem := fmt.Sprintf("its format is %d, this build knows %d", c.Format, commitFormat)
		if err != nil {
			problem = err.Error()
		}
		return commit{}, &sinks.Stop{
			Kind: changelog.StopCorrupt, Detail: fmt.Sprintf("%s cannot be read: %s", name, problem),
			Remedy: "restore it, or name an empty folder and remove the sink's checkpoint",
		}
	}
	if c.Log != "" && o.Log != [16]byte{} && c.Log != hex.EncodeToString(o.Log[:]) {
		return commit{}, &sinks.Stop{
			Kind: changelog.StopDiverged, Detail: fmt.Sprintf("the files in %s were made from the log %s, this is the log %x", o.Dir, c.Log, o.Log),
			Remedy: "name another folder",
		}
	}
	return c, nil
}

// state is what a checkpoint says besides the offset: the folder's commit. Stored; do not change the name.
type state struct {
	Commit changelog.Offset `json:"commit"`
}

// appendState appends the state, nothing when the folder has no commit.
func appendState(dst []byte, commit changelog.Offset) []byte {
	if commit == 0 {
		return dst
	}
	return fmt.Appendf(dst, `{"commit":%d}`, commit)
}

// checkCommit makes sure that the folder stands where the checkpoint says, or after it: what lies before the checkpoint is not published
// again, and would be missing in another folder.
func (o *Options) checkCommit(commit changelog.Offset, saved sinks.Checkpoint) error {
	var known state
	if len(saved.State) > 0 {
		if err := json.Unmarshal(saved.State, &known); err != nil {
			return &sinks.Stop{
				Kind: changelog.StopCorrupt, Detail: fmt.Sprintf("the state in the sink's checkpoint cannot be read: %v", err),
				Remedy: "remove the sink's checkpoint.json: the folder says where to go on",
			}
		}
	}
	if commit >= known.Commit {
		return nil
	}
	return &sinks.Stop{
		Kind:   changelog.StopDiverged,
		Detail: fmt.Sprintf("%s holds changes up to offset %d, and this sink has brought its folder to %d: it is another folder, or it was emptied", o.Dir, commit, known.Commit),
		Remedy: "name the folder that it was; or give the sink another name, or remove its checkpoint.json, to publish the log to this one from where it stands",
	}
}

// commit makes a round arrive: all that its units say is durable, then named, then moved to where readers look.
func (o *Options) commit(r *Round, last changelog.Offset) error {
	if err := r.complete(); err != nil {
		return err
	}
	if err := o.FS.SyncDir(o.working("")); err != nil {
		return fmt.Errorf("sync folder of unfinished files: %w", err)
	}
	for _, f := range r.done {
		if err := o.checkFree(f); err != nil {
			return err
		}
	}
	c := commit{Format: commitFormat, Offset: last, Files: r.done}
	if o.Log != [16]byte{} {
		c.Log = hex.EncodeToString(o.Log[:])
	}
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode how far the files stand: %w", err)
	}
	if err := vfs.WriteFileAtomic(o.FS, o.state(""), commitFile, text); err != nil {
		return fmt.Errorf("write how far the files stand: %w", err)
	}
	return o.publish(r.done)
}

// checkFree refuses to replace a file that readers may have seen.
func (o *Options) checkFree(f finished) error {
	_, err := o.FS.Stat(o.final(f.To))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for file %s: %w", f.To, err)
	}
	return &sinks.Stop{
		Kind: changelog.StopDiverged, Detail: fmt.Sprintf("file %s is there although its changes have not been published", o.final(f.To)),
		Remedy: fmt.Sprintf("another log wrote here, or the folder's %s was lost: name an empty folder, or move the files that are there", stateFolder),
	}
}

// publish moves the files of a commit to where readers look, but for those that have been moved already.
func (o *Options) publish(files []finished) error {
	moved := map[string]bool{}
	for _, f := range files {
		dir := filepath.Dir(o.final(f.To))
		if !moved[dir] {
			if err := o.FS.MkdirAll(dir); err != nil {
				return fmt.Errorf("make folder of files: %w", err)
			}
			moved[dir] = true
		}
		err := o.FS.Rename(o.working(f.From), o.final(f.To))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("publish file %s: %w", f.To, err)
		}
	}
	for dir := range moved {
		if err := o.FS.SyncDir(dir); err != nil {
			return fmt.Errorf("sync folder of files: %w", err)
		}
	}
	if err := o.FS.SyncDir(o.working("")); err != nil {
		return fmt.Errorf("sync folder of unfinished files: %w", err)
	}
	return nil
}

// removeUnfinished removes what rounds that did not end have left.
func (o *Options) removeUnfinished() error {
	names, err := o.FS.ReadDir(o.working(""))
	if err != nil {
		return fmt.Errorf("list unfinished files: %w", err)
	}
	for _, name := range names {
		if err := o.FS.Remove(o.working(name)); err != nil {
			return fmt.Errorf("remove unfinished file: %w", err)
		}
	}
	if err := o.FS.SyncDir(o.working("")); err != nil {
		return fmt.Errorf("sync folder of unfinished files: %w", err)
	}
	return nil
}
