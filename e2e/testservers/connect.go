package testservers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ConnectOptions says how to start a worker of Kafka Connect.
type ConnectOptions struct {
	Name     string            // shown in logs; "" = connect
	Kafka    *Kafka            // whose topics it writes
	Settings map[string]string // of the worker, over the defaults of this package
	Flags    []string          // of Java, in the place of those that keep a worker small; nil = those
	Log      *slog.Logger      // what is done to the worker; nil = nothing
}

// Connect is a worker of Kafka Connect, standalone, that runs connectors of
// Debezium.
type Connect struct {
	daemon
	o                        ConnectOptions
	kafka, connect, debezium javaInstall
	brokers                  string // their addresses
}

// StartConnect starts a worker without connectors and returns when it takes
// them. It needs what 'make readers' installs; without it the error is
// ErrNoServer. It lives until Stop or until this process ends; ctx bounds the
// start only.
func StartConnect(ctx context.Context, o ConnectOptions) (*Connect, error) {
	c := &Connect{o: o, brokers: strings.Join(o.Kafka.AdminAddrs(), ",")}
	if err := c.find(); err != nil {
		return nil, err
	}
	acc, err := serverAccount()
	if err != nil {
		return nil, err
	}
	for _, install := range []javaInstall{c.kafka, c.connect, c.debezium} {
		if err := install.reachable(acc); err != nil {
			return nil, err
		}
	}
	c.daemon = daemon{
		kind: c, name: cmp.Or(o.Name, "connect"), version: c.connect.version, log: o.Log, account: acc,
		host: loopback, choosePort: true, stopSignal: syscall.SIGTERM,
	}
	if err := c.open("", watch{executable: c.kafka.java}); err != nil {
		return nil, err
	}
	if err := c.create(ctx); err != nil {
		c.discard()
		return nil, err
	}
	return c, nil
}

// find looks for the jars.
func (c *Connect) find() (err error) {
	if c.debezium, err = findJavaProgram("Debezium", "debezium", ""); err != nil {
		return err
	}
	if c.connect, err = findJavaProgram("Kafka Connect", "kafka-connect", ""); err != nil {
		return err
	}
	c.kafka, err = findKafka(c.connect.version) // whose jars are those that Connect asks for
	return err
}

// create makes the data folder, where the worker keeps the offsets of its
// connectors, and starts it.
func (c *Connect) create(ctx context.Context) error {
	if err := os.Mkdir(c.dataDir(), 0o700); err != nil {
		return err
	}
	if err := c.account.own(c.dataDir()); err != nil {
		return err
	}
	return c.firstStart(ctx)
}

// StartConnectFor starts a worker of the test's own, by the same rules as
// SharedKafka, and stops it at the end of the test.
func StartConnectFor(tb TB, o ConnectOptions) *Connect {
	tb.Helper()
	c, err := StartConnect(tb.Context(), o)
	return started(tb, c, err)
}

// DebeziumVersion is that of the connectors.
func (c *Connect) DebeziumVersion() string { return c.debezium.version }

// URL is the root of the worker's API.
func (c *Connect) URL() string { return "http://" + c.Addr() }

func (c *Connect) propertiesFile() string { return filepath.Join(c.runDir(), "worker.properties") }

// configure writes the properties.
func (c *Connect) configure() error {
	settings := map[string]string{
		"bootstrap.servers":            c.brokers,
		"listeners":                    c.URL(),
		"key.converter":                "org.apache.kafka.connect.json.JsonConverter",
		"value.converter":              "org.apache.kafka.connect.json.JsonConverter",
		"offset.storage.file.filename": filepath.Join(c.dataDir(), "offsets"),
		"plugin.path":                  c.debezium.home,
	}
	maps.Copy(settings, c.o.Settings)
	if err := os.WriteFile(c.propertiesFile(), []byte(javaProperties(settings)), 0o600); err != nil {
		return err
	}
	return c.account.own(c.propertiesFile())
}

// command is the worker with its properties.
func (c *Connect) command() *exec.Cmd {
	const heapMB = 300
	flags := c.o.Flags
	if flags == nil {
		flags = c.kafka.flags(heapMB, c.runDir())
	}
	args := append(slices.Clone(flags),
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.log."+connectMain+"=info")
	classpath := c.connect.classpath() + string(filepath.ListSeparator) + c.kafka.classpath()
	return exec.Command(c.kafka.java, append(args, "-cp", classpath, "org.apache.kafka.connect.cli.ConnectStandalone", c.propertiesFile())...)
}

// connectMain is the class that says in the log when the worker has started.
const connectMain = "org.apache.kafka.connect.runtime.Connect"

// accepting reports whether the worker has said so in its log.
func (c *Connect) accepting(int) bool {
	text, err := c.logSince(c.began)
	return err == nil && strings.Contains(text, "Kafka Connect started")
}

// Used is the processor time that the worker has taken since it was started,
// and the number of its process; both are 0 when it does not run.
func (c *Connect) Used() (cpu time.Duration, pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return 0, 0
	}
	const user, system, tick = 11, 12, 10 * time.Millisecond // places in the fields, and the kernel's unit
	fields := statFields(fmt.Sprintf("/proc/%d/stat", c.process.pid()))
	if len(fields) <= system {
		return 0, 0
	}
	for _, place := range []int{user, system} {
		n, _ := strconv.ParseInt(fields[place], 10, 64) // the kernel writes numbers
		cpu += time.Duration(n) * tick
	}
	return cpu, c.process.pid()
}

// Call asks the API, such as GET /connectors/NAME/offsets, with a document in
// JSON where body is not nil, and returns the answer. One that is no success
// is an error.
func (c *Connect) Call(ctx context.Context, method, path string, body any) ([]byte, error) {
	document := []byte{}
	if body != nil {
		var err error
		if document, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.URL()+path, bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask Kafka Connect: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("ask Kafka Connect: %w", err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s of Kafka Connect: %s: %s", method, path, response.Status, text)
	}
	return text, nil
}
