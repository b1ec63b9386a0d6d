// Package forward hands a request's deadline and trace on to what is called while it is served. The standard library alone.
package forward

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

const (
	left = "X-Envoy-Expected-Rq-Timeout-Ms" // what is left of the caller's time, in milliseconds
	hop  = time.Millisecond                 // for the answer's way back: what Bowline takes off a hop, too
)

var trace = []string{"Traceparent", "Tracestate", "Baggage", "X-Request-Id"}

type key struct{}

// Handler serves requests under the deadline and the trace that they bring along.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), key{}, r.Header)
		if ms, err := strconv.ParseUint(r.Header.Get(left), 10, 40); err == nil {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond-hop)
			defer cancel()
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Transport puts the deadline and the trace of a request's context on it: &http.Client{Transport: forward.Transport{Base: base}}.
type Transport struct{ Base http.RoundTripper }

// RoundTrip fails with context.DeadlineExceeded where the caller waits no longer.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if arrived, ok := r.Context().Value(key{}).(http.Header); ok {
		for _, name := range trace {
			if value := arrived.Get(name); value != "" {
				r.Header.Set(name, value)
			}
		}
	}
	if deadline, ok := r.Context().Deadline(); ok {
		remaining := time.Until(deadline)
		if remaining <= 0 {
			return nil, context.DeadlineExceeded
		}
		r.Header.Set(left, strconv.FormatInt(remaining.Milliseconds(), 10))
	}
	return t.Base.RoundTrip(r)
}
