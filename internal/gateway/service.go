package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// maxResponse is how many bytes of a service's response are read.
const maxResponse = 1 << 20

// A service calls an HTTP service of the user's, a bounded number of times at once.
type service struct {
	Service
	client  *http.Client
	slots   chan struct{}
	waiting atomic.Int64
}

func newService(s Service, inFlight int) *service {
	orDefault(&s.Timeout, 10*time.Second)
	if s.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = inFlight
		s.Transport = t
	}
	return &service{
		Service: s,
		slots:   make(chan struct{}, inFlight),
		client: &http.Client{
			Transport: s.Transport,
			// Another address than the operator's is nobody's to choose.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// errBusy means that as many calls as may be wait for the service already.
var errBusy = errors.New("too many requests wait for the service")

// queueFactor is how many calls may wait for each one that is made.
const queueFactor = 16

// post posts v as JSON, and returns what the service responds.
func (s *service) post(ctx context.Context, v any) (r *http.Response, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	if err := s.enter(ctx); err != nil {
		return nil, nil, err
	}
	defer func() { <-s.slots }()
	b, err := json.Marshal(v)
	if err != nil {
		return nil, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(b))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if s.Token != "" {
		request.Header.Set("Authorization", "Bearer "+s.Token)
	}
	r, err = s.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer r.Body.Close()
	body, err = io.ReadAll(io.LimitReader(r.Body, maxResponse+1))
	if err == nil && len(body) > maxResponse {
		err = fmt.Errorf("the response has more than %d bytes", maxResponse)
	}
	return r, body, err
}

// enter waits for a slot.
func (s *service) enter(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	if s.waiting.Add(1) > int64(queueFactor*cap(s.slots)) {
		s.waiting.Add(-1)
		return errBusy
	}
	defer s.waiting.Add(-1)
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// call posts v and decodes the response into result, where there is one.
func (s *service) call(ctx context.Context, v, result any) (status int, err error) {
	r, body, err := s.post(ctx, v)
	if err != nil {
		return 0, err
	}
	if r.StatusCode >= 200 && r.StatusCode <= 299 && len(bytes.TrimSpace(body)) > 0 {
		if err := json.Unmarshal(body, result); err != nil {
			return 0, fmt.Errorf("response: %w", err)
		}
	}
	return r.StatusCode, nil
}

// close lets go of the connections that nobody uses.
func (s *service) close() { s.client.CloseIdleConnections() }
