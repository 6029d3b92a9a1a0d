package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"cdc/cmd/cdc/internal/config"
	"cdc/cmd/cdc/internal/exit"
	"cdc/e2e/testservers"
)

const composeDir = "../../compose"

// composeFile is what the files of compose/ use of the format: any other key is a slip.
type composeFile struct {
	Name     string
	Include  []string
	Services map[string]composeService
	Volumes  map[string]struct{}
}

type composeService struct {
	Image       string
	Build       *struct{ Context, Dockerfile string }
	Command     []string
	Environment map[string]string
	Volumes     []string
	Ports       []string
	DependsOn   dependencies `yaml:"depends_on"`
	Healthcheck *struct {
		Test              []string
		Interval, Timeout string
		Retries           int
	}
	StopGracePeriod string `yaml:"stop_grace_period"`
	Restart         string
}

// dependencies are a list of services, or services with conditions.
type dependencies map[string]string

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *dependencies) UnmarshalYAML(n *yaml.Node) error {
	*d = dependencies{}
	var names []string
	if n.Decode(&names) == nil {
		for _, name := range names {
			(*d)[name] = ""
		}
		return nil
	}
	var conditions map[string]struct{ Condition string }
	err := n.Decode(&conditions)
	for name, c := range conditions {
		(*d)[name] = c.Condition
	}
	return err
}

// readYAML reads a file into a value that knows all of its keys.
func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(readText(t, path)))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func readText(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pinned is an image with a tag that stays what it is.
var pinned = regexp.MustCompile(`^[a-z0-9./_-]+:v?\d[\w.-]*$`)

func TestComposeFiles(t *testing.T) {
	for _, name := range []string{"try-it.yaml", "postgres-kafka.yaml", "mysql-kafka.yaml"} {
		t.Run(name, func(t *testing.T) {
			var f composeFile
			readYAML(t, filepath.Join(composeDir, name), &f)
			for _, included := range f.Include {
				var other composeFile
				readYAML(t, filepath.Join(composeDir, included), &other)
				maps.Copy(f.Services, other.Services)
				maps.Copy(f.Volumes, other.Volumes)
			}
			for service, s := range f.Services {
				checkComposeService(t, &f, service, &s)
			}
			if _, ok := f.Services["cdc"]; !ok {
				t.Fatal("there is no cdc in it")
			}
			checkOwnService(t, f.Services["cdc"])
		})
	}
}

func checkComposeService(t *testing.T, f *composeFile, name string, s *composeService) {
	if s.Build == nil && !pinned.MatchString(s.Image) {
		t.Errorf("%s: image %q is not pinned", name, s.Image)
	}
	if s.Build != nil && s.Build.Context != ".." {
		t.Errorf("%s: the context %q is not the root", name, s.Build.Context)
	}
	if s.Build != nil {
		readText(t, filepath.Join(composeDir, s.Build.Context, s.Build.Dockerfile))
	}
	for _, v := range s.Volumes {
		from, _, _ := strings.Cut(v, ":")
		if strings.HasPrefix(from, ".") {
			if _, err := os.Stat(filepath.Join(composeDir, from)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if _, ok := f.Volumes[from]; !ok {
			t.Errorf("%s: volume %s is not declared", name, from)
		}
	}
	for _, p := range s.Ports {
		if !strings.HasPrefix(p, "127.0.0.1:") {
			t.Errorf("%s: port %s is open to the network", name, p)
		}
	}
	for other, condition := range s.DependsOn {
		if _, ok := f.Services[other]; !ok || condition == "service_healthy" && f.Services[other].Healthcheck == nil {
			t.Errorf("%s waits for %s (%s), which there is not", name, other, condition)
		}
	}
}

// checkOwnService holds the command line and the variables to what the program knows.
func checkOwnService(t *testing.T, s composeService) {
	env := imageVariables(t)
	maps.Copy(env, s.Environment)
	run := parseOwn(t, s.Command)
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	var environ []string
	for name, v := range env {
		environ = append(environ, name+"="+v)
	}
	c, err := config.Load(config.Request{DSNs: run.DSN, Sinks: run.Sink, LookupEnv: lookup, Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 0 || len(c.Sources) != 1 || c.Sources[0].Password == "" || c.HTTP != "0.0.0.0:7070" {
		t.Errorf("warnings %q, sources %+v, http %s", c.Warnings, c.Sources, c.HTTP)
	}
	for _, spec := range c.Sources {
		if _, err := openDatabase(spec, nil, [16]byte{}, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	}
}

// parseOwn parses a command line of ours.
func parseOwn(t *testing.T, args []string) *runCmd {
	t.Helper()
	var model cli
	parser, err := newParser(&model)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return &model.Run
}

var (
	fromLine = regexp.MustCompile(`(?m)^FROM (\S+)`)
	envLine  = regexp.MustCompile(`(?m)^ENV (.*)$`)
	userLine = regexp.MustCompile(`(?m)^USER (\S+)$`)
	execLine = regexp.MustCompile(`(?m)^(?:HEALTHCHECK .* CMD|CMD) (\[.*\])$`)
	copyLine = regexp.MustCompile(`(?m)^COPY (\w[\w.]* )+`)
)

func imageVariables(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, line := range envLine.FindAllStringSubmatch(string(readText(t, filepath.Join(composeDir, "Dockerfile"))), -1) {
		for _, pair := range strings.Fields(line[1]) {
			name, v, _ := strings.Cut(pair, "=")
			env[name] = v
		}
	}
	return env
}

func TestDockerfile(t *testing.T) {
	text := string(readText(t, filepath.Join(composeDir, "Dockerfile")))
	images := fromLine.FindAllStringSubmatch(text, -1)
	if len(images) != 2 {
		t.Errorf("%d stages", len(images))
	}
	for _, image := range images {
		if _, tag, ok := strings.Cut(image[1], ":"); !ok || tag == "latest" {
			t.Errorf("image %s has no tag", image[1])
		}
	}
	if user := userLine.FindStringSubmatch(text); user == nil || user[1] == "root" {
		t.Errorf("it runs as %q", user)
	}
	commands := execLine.FindAllStringSubmatch(text, -1)
	if len(commands) != 2 {
		t.Fatalf("commands %q", commands)
	}
	for _, c := range commands {
		var args []string
		if err := json.Unmarshal([]byte(c[1]), &args); err != nil {
			t.Fatal(err)
		}
		parseOwn(t, slices.DeleteFunc(args, func(arg string) bool { return arg == "cdc" }))
	}
	for _, line := range copyLine.FindAllString(text, -1) {
		for _, name := range strings.Fields(line)[1:] {
			readText(t, filepath.Join("../..", name))
		}
	}
}

func TestSystemdUnit(t *testing.T) {
	path := filepath.Join(composeDir, "cdc.service")
	text := string(readText(t, path))
	value := func(key string) []string {
		found := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("it has no %s", key)
		}
		return strings.Fields(found[1])
	}
	parseOwn(t, value("ExecStart")[1:])
	for _, code := range value("RestartPreventExitStatus") {
		n, err := strconv.Atoi(code)
		if err != nil || !slices.ContainsFunc(exit.Meanings(), func(m exit.Meaning) bool { return int(m.Code) == n }) {
			t.Errorf("there is no exit code %s", code)
		}
	}
	var environ []string
	for _, pair := range value("Environment") {
		environ = append(environ, pair)
	}
	c, err := config.Load(config.Request{LookupEnv: func(string) (string, bool) { return "", false }, Environ: environ})
	if err != nil || len(c.Warnings) != 0 {
		t.Errorf("%v, %q", err, c.Warnings)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not there: the unit's own words are not checked")
		return
	}
	unit := filepath.Join(t.TempDir(), "cdc.service")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text = strings.Replace(text, value("ExecStart")[0], program, 1)
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--recursive-errors=no", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "cdc.service:") {
		t.Errorf("%v: %s", err, out)
	}
}

var metricName = regexp.MustCompile(`\b(?:cdc|go|process)_[a-z_]+`)

// knownMetrics are those of ours by their definitions, and what Go and the process say of themselves.
func knownMetrics(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, path := range []string{"capture.go", "internal/server/metrics.go"} {
		for _, found := range regexp.MustCompile(`description\("(\w+)"|Name: "cdc_(\w+)"`).FindAllStringSubmatch(string(readText(t, path)), -1) {
			known["cdc_"+found[1]+found[2]] = true
		}
	}
	families, err := newMetrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		known[f.GetName()] = true
	}
	return known
}

func TestDashboardAndAlertsAskForMetricsThatExist(t *testing.T) {
	var dashboard struct {
		UID    string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(readText(t, filepath.Join(composeDir, "grafana/cdc.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := map[string]string{}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			queries[p.Title+": "+target.Expr] = target.Expr
		}
	}
	var alerts struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For string
				Annotations      map[string]string
			}
		}
	}
	readYAML(t, filepath.Join(composeDir, "prometheus/alerts.yml"), &alerts)
	for _, g := range alerts.Groups {
		for _, r := range g.Rules {
			queries[r.Alert] = r.Expr
		}
	}
	known := knownMetrics(t)
	asked := map[string]bool{}
	for where, query := range queries {
		for _, name := range metricName.FindAllString(query, -1) {
			if asked[name] = true; !known[name] {
				t.Errorf("%s: there is no metric %s", where, name)
			}
		}
	}
	for _, name := range []string{"cdc_source_stopped", "cdc_source_lag_seconds", "cdc_log_durable_offset", "cdc_sink_lag_offsets", "cdc_changes_total"} {
		if !asked[name] {
			t.Errorf("nothing shows %s", name)
		}
	}
}

func TestMonitoringIsProvisioned(t *testing.T) {
	var datasources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool `yaml:"isDefault"`
		}
	}
	readYAML(t, filepath.Join(composeDir, "grafana/datasource.yaml"), &datasources)
	if !strings.Contains(string(readText(t, filepath.Join(composeDir, "grafana/cdc.json"))), `"uid": "`+datasources.Datasources[0].UID+`"`) {
		t.Error("the dashboard asks another source of data")
	}
	var providers struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type string
			Options    struct{ Path string }
		}
	}
	readYAML(t, filepath.Join(composeDir, "grafana/dashboards.yaml"), &providers)
	var prometheus struct {
		Global        map[string]string
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string `yaml:"job_name"`
			StaticConfigs []struct {
				Targets []string
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	readYAML(t, filepath.Join(composeDir, "prometheus/prometheus.yml"), &prometheus)
	for _, name := range prometheus.RuleFiles {
		readText(t, filepath.Join(composeDir, "prometheus", name))
	}
	if target := prometheus.ScrapeConfigs[0].StaticConfigs[0].Targets[0]; target != "cdc:7070" {
		t.Errorf("it scrapes %s", target)
	}
}

// The shops of the files are captured by an account that has what their SQL gives it, with the words of their command lines.
func TestComposeShopsAreCaptured(t *testing.T) {
	shops := []struct {
		folder, file, database string
		server                 func() scriptServer
		want                   string
	}{
		{"postgres", "postgres-kafka.yaml", "shop", func() scriptServer { return testservers.Shared(t) }, "2 captured, 0 untracked"},
		{"mysql", "mysql-kafka.yaml", "warehouse", func() scriptServer { return testservers.SharedMySQL(t, testservers.FlavourMySQL) }, "1 captured, 0 untracked"},
	}
	for _, shop := range shops {
		t.Run(shop.folder, func(t *testing.T) {
			s := newScript(t, shop.server())
			role := "cdc" + s.database[max(0, len(s.database)-20):] // the servers are shared
			text := strings.ReplaceAll(string(readText(t, filepath.Join(composeDir, shop.folder, "shop.sql"))), "`warehouse`", "`"+s.database+"`")
			text = regexp.MustCompile(`(ROLE |TO |')cdc('@| LOGIN|;)`).ReplaceAllString(text, "${1}"+role+"$2")
			if _, err := s.server.SQL(t.Context(), s.database, text); err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(s.dsn)
			if err != nil {
				t.Fatal(err)
			}
			u.User = url.User(role)
			var f composeFile
			readYAML(t, filepath.Join(composeDir, shop.file), &f)
			line := "run '" + u.String() + "' --until-current --name shop"
			if run := parseOwn(t, f.Services["cdc"].Command); run.Publication != "" {
				line += " --publication " + run.Publication
			}
			s.env = append(s.env, "CDC_SHOP_PASSWORD=cdc")
			if e := s.cdc(t, line); e.code != 0 {
				t.Fatalf("%s: %s", line, e.shown(regexp.MustCompile("")))
			}
			if e := s.cdc(t, "status --format table"); !strings.Contains(e.out, shop.want) {
				t.Errorf("%s", e.out)
			}
			if shop.folder == "postgres" {
				if _, err := s.server.SQL(t.Context(), s.database, "CALL shop_step()"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
