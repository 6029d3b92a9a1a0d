package testservers

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// javaInstall is a program in jars of the cache, and the Java that runs it.
type javaInstall struct {
	java    string // what the kernel runs
	home    string // folder of the program
	version string // of the program, "4.3.0"
}

// findKafka chooses the brokers of a version; "" is the newest.
func findKafka(version string) (javaInstall, error) {
	return findJavaProgram("Kafka", "kafka", version)
}

// findApicurio chooses the newest registry.
func findApicurio() (javaInstall, error) {
	return findJavaProgram("the Apicurio registry", "apicurio", "")
}

// findJavaProgram looks for name-VERSION in the cache of 'make setup'.
func findJavaProgram(product, name, version string) (javaInstall, error) {
	java, err := findJava()
	if err != nil {
		return javaInstall{}, fmt.Errorf("find Java for %s: %w", product, err)
	}
	var all []javaInstall
	dirs, err := filepath.Glob(filepath.Join(CacheDir(), name+"-[0-9]*"))
	if err != nil {
		return javaInstall{}, fmt.Errorf("find %s: %w", product, err)
	}
	for _, dir := range dirs {
		inst := javaInstall{java: java, home: dir, version: strings.TrimPrefix(filepath.Base(dir), name+"-")}
		// What is still being copied by 'make setup' has another ending.
		if filepath.Ext(dir) != ".new" && (version == "" || version == inst.version) {
			all = append(all, inst)
		}
	}
	if len(all) == 0 {
		return javaInstall{}, fmt.Errorf("find %s: %w", strings.TrimSpace(product+" "+version), ErrNoServer)
	}
	return slices.MaxFunc(all, func(a, b javaInstall) int { return compareVersions(a.version, b.version) }), nil
}

// findJava is the program behind the links of the system, by which the
// watchdog knows its process.
func findJava() (string, error) {
	path, err := exec.LookPath("java")
	if errors.Is(err, exec.ErrNotFound) {
		return "", ErrNoServer
	}
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// reachable reports why an account cannot run the program; nil if it can.
func (i javaInstall) reachable(a account) error {
	if err := errors.Join(a.enters(filepath.Dir(i.java)), a.enters(i.home)); err != nil {
		return fmt.Errorf("use %s: %w; set CDC_CACHE to a public folder", i.home, err)
	}
	return nil
}

// flags make a Java process small and quick to start: no test runs long
// enough to repay the second compiler.
func (i javaInstall) flags(heapMB int, tmp string) []string {
	return []string{
		fmt.Sprintf("-Xmx%dm", heapMB), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData",
		"-Djava.io.tmpdir=" + tmp, "-Djava.net.preferIPv4Stack=true",
	}
}

// classpath is all jars of Kafka.
func (i javaInstall) classpath() string { return filepath.Join(i.home, "lib", "*") }
