package server

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"cdc/cmd/cdc/internal/client"
	"cdc/sources"
)

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	s.text(w, http.StatusOK, "cdc: /healthz /readyz /metrics /status")
}

// health says that the process works: as long as it answers it does, as a poisoned log ends it.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) { s.text(w, http.StatusOK, "ok") }

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, http.StatusOK, s.o.Run.Status())
}

// ready says whether every source, or the one that is asked about, streams and is not far behind, or why not.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	status := s.o.Run.Status()
	if name := r.URL.Query().Get("source"); name != "" {
		status.Sources = slices.DeleteFunc(slices.Clone(status.Sources), func(source client.Source) bool { return source.Name != name })
		if len(status.Sources) == 0 {
			s.text(w, http.StatusNotFound, "there is no source "+strconv.Quote(name))
			return
		}
	}
	reasons := NotReady(status, s.o.ReadyLag)
	if len(reasons) == 0 {
		s.text(w, http.StatusOK, "ready")
		return
	}
	s.text(w, http.StatusServiceUnavailable, strings.Join(reasons, "\n"))
}

// NotReady lists what keeps a run from being ready; a lag above lagMax does.
func NotReady(status client.Status, lagMax time.Duration) (reasons []string) {
	if status.Full {
		reasons = append(reasons, "the disk is full: nothing is captured until there is space")
	}
	if len(status.Sources) == 0 {
		reasons = append(reasons, "there is no source")
	}
	for _, source := range status.Sources {
		if reason := sourceNotReady(source, lagMax); reason != "" {
			reasons = append(reasons, "source "+source.Name+" "+reason)
		}
	}
	return reasons
}

func sourceNotReady(s client.Source, lagMax time.Duration) string {
	switch {
	case s.Phase == string(sources.PhaseStopped) && len(s.Stops) > 0:
		return "is stopped: " + s.Stops[0].Kind + ": " + s.Stops[0].Detail
	case s.Phase != string(sources.PhaseStreaming) && s.Error != "":
		return "is " + s.Phase + ": " + s.Error
	case s.Phase != string(sources.PhaseStreaming):
		return "is " + s.Phase
	case s.LagSeconds > lagMax.Seconds():
		return fmt.Sprintf("is %.0f s behind", s.LagSeconds)
	}
	return ""
}

func (s *Server) text(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if _, err := fmt.Fprintln(w, text); err != nil {
		s.o.Logger.Debug("answer was not taken", "err", err)
	}
}
