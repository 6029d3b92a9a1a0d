package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cdc/changelog"
	"cdc/cmd/cdc/internal/client"
	"cdc/cmd/cdc/internal/exit"
)

const (
	// durableWaitMax is how long a question for more durable offsets waits before it is answered with what there is.
	durableWaitMax = 20 * time.Second
	// maxRequestBytes bounds a request on the control socket.
	maxRequestBytes = 1 << 20
)

// control is what only the folder's owner may ask for.
func (s *Server) control() *http.ServeMux {
	mux := s.public()
	mux.HandleFunc("GET "+client.PathDurable, s.durable)
	mux.HandleFunc("POST "+client.PathTag, act(s, s.o.Run.Tag))
	mux.HandleFunc("POST "+client.PathResolve, act(s, s.o.Run.Resolve))
	mux.HandleFunc("POST "+client.PathDrop, act(s, s.o.Run.Drop))
	return mux
}

func (s *Server) durable(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	if err != nil {
		s.refuse(w, &exit.Error{Code: exit.Usage, What: "after is no offset", Err: err})
		return
	}
	if next := s.o.Run.Next(); after > 0 && uint64(next) <= after {
		ctx, cancel := context.WithTimeout(r.Context(), durableWaitMax)
		defer cancel()
		if err := s.o.Run.WaitDurable(ctx, changelog.Offset(after)); err != nil && ctx.Err() == nil {
			s.refuse(w, err)
			return
		}
	}
	s.answer(w, http.StatusOK, client.Durable{Next: s.o.Run.Next()})
}

// act reads a request and carries it out.
func act[T any](s *Server, do func(context.Context, T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request T
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBytes))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			s.refuse(w, &exit.Error{Code: exit.Usage, What: fmt.Sprintf("request is not understood: %v", err), Remedy: "use the same version of cdc as the running one", Err: err})
			return
		}
		if err := do(r.Context(), request); err != nil {
			s.refuse(w, err)
			return
		}
		s.answer(w, http.StatusOK, struct{}{})
	}
}

// refuse answers with an error in the form that the client turns back into one.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	e := exit.Of(err)
	s.answer(w, http.StatusUnprocessableEntity, client.Error{Code: int(e.Code), Message: e.What, Where: e.Where, Remedy: e.Remedy})
}

func (s *Server) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.o.Logger.Debug("answer was not taken", "err", err)
	}
}
