package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// A body is that of a request, while it is in memory.
type body struct {
	from  io.Reader
	max   int64
	size  int64
	total *atomic.Int64 // of all bodies
}

var (
	errTooLarge = errors.New("the body is larger than it may be")
	errTooMany  = errors.New("all bodies are larger than they may be")
)

// readBody reads the whole body of a request. It has a deadline of its own: one for the
// whole request would end questions that take longer.
func (s *Server) readBody(rc *http.ResponseController, r *http.Request) (*body, *problem) {
	b := &body{from: r.Body, max: s.conf.MaxBody, total: &s.bodies}
	if r.ContentLength == 0 {
		return b, nil
	}
	if r.Method == http.MethodPost && !isJSON(r.Header) {
		return b, newProblem(http.StatusUnsupportedMediaType, "The body must be JSON, and its Content-Type application/json.")
	}
	r.Header.Set("Content-Type", "application/json")
	tooLarge := newProblem(http.StatusRequestEntityTooLarge, "The body has more than %d bytes.", b.max)
	if r.ContentLength > b.max {
		return b, tooLarge
	}
	rc.SetReadDeadline(time.Now().Add(bodyTimeout))
	data, err := io.ReadAll(b)
	switch {
	case errors.Is(err, errTooLarge):
		return b, tooLarge
	case errors.Is(err, errTooMany):
		return b, newProblem(http.StatusServiceUnavailable, "The requests of the moment are too large together; try again.")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return b, newProblem(http.StatusRequestTimeout, "The body did not arrive within %v.", bodyTimeout)
	case err != nil:
		return b, newProblem(http.StatusBadRequest, "The body did not arrive whole.")
	}
	rc.SetReadDeadline(time.Time{})
	r.Body = io.NopCloser(bytes.NewReader(data))
	r.ContentLength = int64(len(data))
	return b, nil
}

// Read reads what has arrived, which is what counts, not what was declared.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.size += int64(n)
	if b.total.Add(int64(n)) > max(maxBodies, 2*b.max) {
		return n, errTooMany
	}
	if b.size > b.max {
		return n, errTooLarge
	}
	return n, err
}

// release forgets the body.
func (b *body) release() {
	b.total.Add(-b.size)
	b.size = 0
}

func isJSON(h http.Header) bool {
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := params["charset"]
	return err == nil && kind == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8")) &&
		h.Get("Content-Encoding") == ""
}
