// A service that calls the next one through the mesh: hop PORT [NEXT], with HTTP_PROXY naming the mesh port.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	forward "bowline.dev/middleware"
)

type seen struct {
	Service     string            `json:"service"`
	RemainingMs float64           `json:"remaining_ms"`
	Sent        map[string]string `json:"sent"`
}

// probe notes what would be sent.
type probe struct{ sent map[string]string }

func (p probe) RoundTrip(r *http.Request) (*http.Response, error) {
	for name := range r.Header {
		p.sent[name] = r.Header.Get(name)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func main() {
	next := ""
	if len(os.Args) > 2 {
		next = os.Args[2]
	}
	hop := func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Err() != nil {
			http.Error(w, "the caller waits no longer", http.StatusGatewayTimeout)
			return
		}
		own := seen{Service: "go", Sent: map[string]string{}}
		if deadline, ok := r.Context().Deadline(); ok {
			own.RemainingMs = float64(time.Until(deadline)) / 1e6
		}
		answers := []json.RawMessage{nil}
		if next != "" {
			client := http.Client{Transport: forward.Transport{Base: probe{own.Sent}}}
			request, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+next+"/hop", nil)
			answer, err := client.Do(request)
			if errors.Is(err, context.DeadlineExceeded) {
				http.Error(w, "the caller waits no longer", http.StatusGatewayTimeout)
				return
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			defer answer.Body.Close()
			var more []json.RawMessage
			if err := json.NewDecoder(answer.Body).Decode(&more); err != nil || answer.StatusCode != http.StatusOK {
				http.Error(w, fmt.Sprintf("%s: %s", next, answer.Status), http.StatusBadGateway)
				return
			}
			answers = append(answers, more...)
		}
		answers[0], _ = json.Marshal(own)
		w.Header().Set("content-type", "application/json")
		_ = json.NewEncoder(w).Encode(answers)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], forward.Handler(http.HandlerFunc(hop))))
}
