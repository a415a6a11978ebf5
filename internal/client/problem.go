package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrSilent means that the gateway has not responded in time.
var ErrSilent = errors.New("no response in time")

// A Problem says why the gateway has not done what it was asked for (RFC 9457).
type Problem struct {
	Status     int
	Detail     string        // a sentence for people, as the gateway sent it
	RetryAfter time.Duration // when to come back; 0 when it does not say
}

// Error returns the status and the detail, which may have anything in it.
func (p *Problem) Error() string { return fmt.Sprintf("status %d: %q", p.Status, p.Detail) }

// A TransportError says why there is no response.
type TransportError struct {
	Err      error // ErrSilent when there was none in time
	Dialling bool  // there was no connection yet, so that nothing has been asked
}

func (e *TransportError) Error() string { return e.Err.Error() }
func (e *TransportError) Unwrap() error { return e.Err }

// A StrangeError is a response that is none of a gateway's API.
type StrangeError struct {
	Status   int
	Location string // where it sends us, if it does
	WantsTLS bool   // it is one to a request without TLS where TLS is spoken
}

func (e *StrangeError) Error() string {
	return fmt.Sprintf("status %d, and not as a gateway responds", e.Status)
}

// refusal makes a response that is no success an error.
func refusal(r *http.Response, body []byte) error {
	var details struct {
		Detail string `json:"detail"`
		Title  string `json:"title"`
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(body, &details) != nil {
		return &StrangeError{
			Status:   r.StatusCode,
			Location: r.Header.Get("Location"),
			WantsTLS: r.StatusCode == http.StatusBadRequest && strings.HasPrefix(string(body), "Client sent an HTTP request to an HTTPS server"),
		}
	}
	p := &Problem{Status: r.StatusCode, Detail: details.Detail}
	if p.Detail == "" {
		p.Detail = details.Title
	}
	if n, err := strconv.ParseUint(r.Header.Get("Retry-After"), 10, 16); err == nil {
		p.RetryAfter = time.Duration(n) * time.Second
	}
	return p
}
