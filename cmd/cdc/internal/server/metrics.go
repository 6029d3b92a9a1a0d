package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cdc/cmd/cdc/internal/client"
	"cdc/sinks"
	"cdc/sources"
)

// statusCollector makes metrics of the run's status whenever they are scraped, so that the two cannot differ.
type statusCollector struct{ run Run }

// description names a metric and what its labels are.
func description(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("cdc_"+name, help, labels, nil)
}

// metrics of the log and of sources. Their meanings are Debezium's where it has them.
var (
	logDurable    = description("log_durable_offset", "Last durable offset of the log.")
	logBytes      = description("log_bytes", "Size of the log's files on disk.")
	logFree       = description("log_disk_free_bytes", "Free space on the log's disk.")
	logFull       = description("log_disk_full", "1 while nothing can be written for lack of space.")
	buildInfo     = description("build_info", "1, with the version as label.", "version")
	startTime     = description("start_time_seconds", "Unix time of the start of the run.")
	sourceInfo    = description("source_info", "1, with the kind of the source as label.", "source", "kind")
	connected     = description("source_connected", "1 while the source is copied or streamed.", "source")
	phase         = description("source_phase", "1 for the phase that the source is in.", "source", "phase")
	lagSeconds    = description("source_lag_seconds", "How far the log is behind the source, by the source's clock.", "source")
	lagBytes      = description("source_lag_bytes", "How far the durable log is behind the source's end, in bytes of its WAL or binlog.", "source")
	idleSeconds   = description("source_idle_seconds", "Time since the clock of the source's last unit in the log.", "source")
	sourceClock   = description("source_clock_seconds", "Unix time of the clock of the source's last unit in the log.", "source")
	lastOffset    = description("source_offset", "Offset of the source's last unit in the log.", "source")
	sourceEpoch   = description("source_epoch", "Epoch of the source.", "source")
	retained      = description("slot_retained_wal_bytes", "WAL that the server holds back for our slot.", "source")
	tables        = description("source_tables", "Captured tables.", "source")
	untracked     = description("source_untracked_tables", "Tables that match and are not captured.", "source")
	copying       = description("source_copying_tables", "Tables of which the log holds a part, as their copy is not complete.", "source")
	stopped       = description("source_stopped", "1 for each named stop that nobody has decided about.", "source", "kind", "table")
	snapshotRows  = description("snapshot_rows", "Rows copied so far by the copy that is running.", "source")
	snapshotLeft  = description("snapshot_remaining_seconds", "How long the rest of the copy that is running takes at its rate, by the source's estimate.", "source")
	snapshotRatio = description("snapshot_progress_ratio", "How far the copy that is running is, 0 to 1, by the source's estimate.", "source")
)

// metrics of sinks.
var (
	sinkPhase    = description("sink_phase", "1 for the phase that the sink is in.", "sink", "phase")
	sinkOffset   = description("sink_offset", "Offset of the log up to which everything has arrived at the sink.", "sink")
	sinkLag      = description("sink_lag_offsets", "Durable offsets of the log that have not arrived at the sink.", "sink")
	sinkWaiting  = description("sink_waiting_bytes", "Bytes on their way to the sink.", "sink")
	sinkMessages = description("sink_messages_total", "Messages that have arrived at the sink in this run.", "sink")
	sinkBytes    = description("sink_bytes_total", "Bytes that have arrived at the sink in this run.", "sink")
	sinkRetries  = description("sink_retries_total", "Times that something was sent to the sink again in this run.", "sink")
)

// Describe implements prometheus.Collector. It lists nothing, as sources come and go.
func (statusCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c statusCollector) Collect(out chan<- prometheus.Metric) {
	status := c.run.Status()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(buildInfo, 1, status.Version)
	gauge(startTime, float64(status.Started.Unix()))
	gauge(logDurable, float64(status.Durable))
	gauge(logBytes, float64(status.LogBytes))
	gauge(logFree, float64(status.FreeBytes))
	gauge(logFull, truth(status.Full))
	for _, s := range status.Sources {
		collectSource(gauge, s)
	}
	for _, s := range status.Sinks {
		collectSink(out, s)
	}
}

func collectSink(out chan<- prometheus.Metric, s client.Sink) {
	metric := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, append([]string{s.Name}, labels...)...)
	}
	for _, p := range []sinks.Phase{sinks.PhaseOpening, sinks.PhasePublishing, sinks.PhaseWaiting, sinks.PhaseStopped} {
		metric(sinkPhase, prometheus.GaugeValue, truth(s.Phase == string(p)), string(p))
	}
	metric(sinkOffset, prometheus.GaugeValue, float64(s.Offset))
	metric(sinkLag, prometheus.GaugeValue, float64(s.LagOffsets))
	metric(sinkWaiting, prometheus.GaugeValue, float64(s.Waiting))
	metric(sinkMessages, prometheus.CounterValue, float64(s.Messages))
	metric(sinkBytes, prometheus.CounterValue, float64(s.Bytes))
	metric(sinkRetries, prometheus.CounterValue, float64(s.Retries))
}

func collectSource(gauge func(*prometheus.Desc, float64, ...string), s client.Source) {
	known := func(d *prometheus.Desc, v float64) {
		if v >= 0 {
			gauge(d, v, s.Name)
		}
	}
	gauge(sourceInfo, 1, s.Name, s.Kind)
	gauge(connected, truth(s.Phase == string(sources.PhaseStreaming) || s.Phase == string(sources.PhaseCopying)), s.Name)
	for _, p := range []sources.Phase{sources.PhaseConnecting, sources.PhaseCopying, sources.PhaseStreaming, sources.PhaseWaiting, sources.PhaseStopped} {
		gauge(phase, truth(s.Phase == string(p)), s.Name, string(p))
	}
	known(lagSeconds, s.LagSeconds)
	known(lagBytes, float64(s.LagBytes))
	known(retained, float64(s.HeldBytes))
	if !s.Clock.IsZero() {
		known(idleSeconds, max(0, time.Since(s.Clock).Seconds()))
		known(sourceClock, float64(s.Clock.UnixMicro())/1e6)
	}
	known(lastOffset, float64(s.Offset))
	known(sourceEpoch, float64(s.Epoch))
	known(tables, float64(s.Tables))
	known(untracked, float64(len(s.Untracked)))
	known(copying, float64(len(s.Copying)))
	for _, stop := range s.Stops {
		gauge(stopped, 1, s.Name, stop.Kind, stop.Table)
	}
	if s.Copy == nil {
		return
	}
	known(snapshotRows, float64(s.Copy.Rows))
	known(snapshotLeft, s.Copy.SecondsLeft)
	if s.Copy.RowsEstimated > 0 {
		known(snapshotRatio, min(1, float64(s.Copy.Rows)/float64(s.Copy.RowsEstimated)))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
