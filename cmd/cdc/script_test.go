package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"cdc/cmd/cdc/internal/client"
	"cdc/e2e/testservers"
)

// asProgram is the variable that makes the test binary the program.
const asProgram = "CDC_TEST_AS_PROGRAM"

// TestCommandLine runs command lines that need no server, as processes, and shows what they print and their exit codes.
func TestCommandLine(t *testing.T) {
	datadriven.Walk(t, "testdata/cli", func(t *testing.T, path string) {
		newScript(t, nil).run(t, path)
	})
}

// TestRunScripts runs command lines against a real server, each file with a database of its own: $DSN, which sql speaks to.
func TestRunScripts(t *testing.T) {
	server := testservers.Shared(t)
	runScripts(t, "testdata/run/*", server)
}

// TestMySQLScripts does the same against a real MySQL and a real MariaDB, with the same outputs.
func TestMySQLScripts(t *testing.T) {
	for _, flavour := range []testservers.Flavour{testservers.FlavourMySQL, testservers.FlavourMariaDB} {
		t.Run(string(flavour), func(t *testing.T) {
			t.Parallel()
			runScripts(t, "testdata/mysql/*", testservers.SharedMySQL(t, flavour))
		})
	}
}

func runScripts(t *testing.T, pattern string, server scriptServer) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scripts: %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			newScript(t, server).run(t, path)
		})
	}
}

// scriptServer is a server that a script speaks to.
type scriptServer interface {
	Database(tb testservers.TB) string
	SuperuserDSN(database string) string
	SQL(ctx context.Context, database, statements string) (string, error)
}

// script runs the commands of one file in a folder of its own.
//
//	file name=F      writes the input to a file
//	env              sets a variable a line, NAME=VALUE
//	cdc              runs each line as a command line of cdc; "keep: PATTERN" before them keeps the lines of output that match;
//	                 $POSITION is where the log has its source
//	until            runs the line until its standard output matches the pattern of "keep: PATTERN"
//	start, stop      starts cdc in the background; asks it to end, or with wait waits until it does
//	sql              runs the input at the server
type script struct {
	dir      string
	env      []string
	server   scriptServer
	database string
	dsn      string
	process  *exec.Cmd
}

func newScript(t *testing.T, server scriptServer) *script {
	s := &script{dir: t.TempDir(), server: server}
	s.env = []string{asProgram + "=1", "HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "CDC_HTTP=off", "CDC_LOG_LEVEL=error", "NO_COLOR=1"}
	if server != nil {
		s.database = server.Database(t)
		s.dsn = server.SuperuserDSN(s.database)
		u, err := url.Parse(s.dsn)
		if err != nil {
			t.Fatal(err)
		}
		password, _ := u.User.Password()
		s.env = append(s.env, "CDC_SHOP_PASSWORD="+password)
	}
	return s
}

func (s *script) run(t *testing.T, path string) {
	t.Cleanup(func() {
		if s.process != nil {
			_ = s.process.Process.Kill() // the test has failed before it was stopped
			_ = s.process.Wait()
		}
	})
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.command(t, d) })
}

func (s *script) command(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "file":
		var name string
		d.ScanArgs(t, "name", &name)
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(d.Input+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	case "env":
		s.env = append(s.env, strings.Split(d.Input, "\n")...)
	case "cdc":
		var b strings.Builder
		keep, lines := cutPattern(d.Input)
		for _, line := range strings.Split(lines, "\n") {
			b.WriteString(s.tidy(s.cdc(t, line).shown(keep)))
		}
		return b.String()
	case "until":
		return s.until(t, d.Input)
	case "start":
		s.process = s.prepare(t, d.Input)
		if err := s.process.Start(); err != nil {
			t.Fatal(err)
		}
	case "stop":
		return s.stop(t, d.HasArg("wait"))
	case "sql":
		if _, err := s.server.SQL(t.Context(), s.database, d.Input); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("unknown command %s", d.Cmd)
	}
	return ""
}

// cutPattern cuts off a first line "keep: PATTERN".
func cutPattern(input string) (keep *regexp.Regexp, rest string) {
	if after, ok := strings.CutPrefix(input, "keep: "); ok {
		text, rest, _ := strings.Cut(after, "\n")
		return regexp.MustCompile("(?m)" + text), rest
	}
	return regexp.MustCompile(""), input
}

// ended is what a process printed and how it ended.
type ended struct {
	out, problems string
	code          int
}

func (e ended) shown(grep *regexp.Regexp) string {
	lines := slices.DeleteFunc(strings.SplitAfter(e.out, "\n"), func(line string) bool { return line == "" || !grep.MatchString(line) })
	text := strings.Join(lines, "")
	if e.problems != "" {
		text += "-- stderr\n" + e.problems
	}
	if e.code != 0 {
		text += fmt.Sprintf("-- exit %d\n", e.code)
	}
	return text
}

func (s *script) prepare(t *testing.T, line string) *exec.Cmd {
	words := splitWords(strings.ReplaceAll(line, "$DSN", s.dsn))
	command := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], words...)
	command.Dir, command.Env = s.dir, s.env
	return command
}

// position is that of the log's first source.
func (s *script) position(t *testing.T) string {
	t.Helper()
	var status client.Status
	if err := json.Unmarshal([]byte(s.cdc(t, "status --json").out), &status); err != nil || len(status.Sources) == 0 {
		t.Fatalf("%d sources, %v", len(status.Sources), err)
	}
	return status.Sources[0].Position
}

func (s *script) cdc(t *testing.T, line string) ended {
	t.Helper()
	if strings.Contains(line, "$POSITION") {
		line = strings.ReplaceAll(line, "$POSITION", s.position(t))
	}
	var out, problems bytes.Buffer
	command := s.prepare(t, line)
	command.Stdout, command.Stderr = &out, &problems
	err := command.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return ended{out: out.String(), problems: problems.String(), code: command.ProcessState.ExitCode()}
}

// untilMax is how long anything may take to come, on a machine that does other things.
const untilMax = 2 * time.Minute

// until runs the line again and again; the time that a process takes to start is the pause.
func (s *script) until(t *testing.T, input string) string {
	want, line := cutPattern(input)
	var last ended
	for deadline := time.Now().Add(untilMax); time.Now().Before(deadline); {
		if last = s.cdc(t, line); want.MatchString(last.out) {
			return ""
		}
	}
	return "it never came; the last answer was\n" + last.shown(want)
}

func (s *script) stop(t *testing.T, wait bool) string {
	if !wait {
		if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	err := s.process.Wait()
	code := s.process.ProcessState.ExitCode()
	s.process = nil
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return fmt.Sprintf("-- exit %d\n", code)
}

// varying are parts of outputs that differ from run to run.
var varying = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`\b[0-9A-F]{1,8}/[0-9A-F]{1,8}\b`), "LSN"},
	{regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(:[-0-9]+)+`), "GTID"},
	{regexp.MustCompile(`\b0-\d+-\d+\b`), "GTID"},
	{regexp.MustCompile(`(LSN|GTID),\d+,`), "$1,N,"},
	{regexp.MustCompile(`_[0-9a-f]{8}\b`), "_LOG"},
	{regexp.MustCompile(`\blog [0-9a-f]{32}\b`), "log LOG"},
	{regexp.MustCompile(`@127\.0\.0\.1:\d{4,}/`), "@SERVER/"},
	{regexp.MustCompile(`\b(process|kill) \d+`), "$1 PID"},
	{regexp.MustCompile(`\boffset \d+`), "offset N"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00)?`), "TIME"},
	{regexp.MustCompile(`\d+\.\d [KMGT]iB are free`), "SIZE are free"},
	{regexp.MustCompile(`\d+ bytes are free`), "N bytes are free"},
	{regexp.MustCompile(`go1[.0-9]+, \w+/\w+, with(out)? SQL`), "GO"},
	{regexp.MustCompile(`, (\d+ ms|\d+\.\d s)\n`), ", D\n"},
}

func (s *script) tidy(text string) string {
	if s.dsn != "" {
		text = strings.ReplaceAll(text, s.dsn, "$DSN")
		text = strings.ReplaceAll(text, s.database, "DATABASE")
	}
	text = strings.ReplaceAll(text, s.dir, "DIR")
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.text)
	}
	return text
}
