//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// sourceStatus is what the program says of a source, as far as it is looked at.
type sourceStatus struct {
	Name      string   `json:"name"`
	Kind      string   `json:"kind"`
	Phase     string   `json:"phase"`
	Epoch     int      `json:"epoch"`
	Position  string   `json:"position"`
	Untracked []string `json:"untracked"`
	Error     string   `json:"error"`
	Rereads   []struct {
		Where  string `json:"where"`
		State  string `json:"state"`
		Detail string `json:"detail"`
	} `json:"rereads"`
	Stops []struct {
		Kind   string `json:"kind"`
		Detail string `json:"detail"`
	} `json:"stops"`
	Copy *struct {
		TablesDone int   `json:"tables_done"`
		Rows       int64 `json:"rows"`
	} `json:"copy"`
}

// answerLimit bounds an answer of a running program.
const answerLimit = 30 * time.Second

// statuses asks the running program through its socket, many times a second as
// starting a verb would not allow; none when it does not answer.
func (c *capture) statuses() []sourceStatus {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	path := filepath.Join(c.data(), "cdc.sock")
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cdc/status", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var answer struct {
		Sources []sourceStatus `json:"sources"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil
	}
	return answer.Sources
}

// status is that of the capture's source, the zero value when nobody says.
func (c *capture) status() sourceStatus {
	for _, s := range c.statuses() {
		if s.Name == c.source {
			return s
		}
	}
	return sourceStatus{}
}

// streams reports whether the program reads the stream of changes.
func (s *sourceStatus) streams() bool { return s.Phase == "streaming" || s.Phase == "copying" }

// copied reports whether it has all its tables.
func (s *sourceStatus) copied() bool { return s.Phase == "streaming" && s.Copy == nil }
