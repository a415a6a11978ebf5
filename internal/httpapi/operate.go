package httpapi

import (
	"context"
	"net/http"
	"net/http/pprof"
	runtimepprof "runtime/pprof"
	"strings"
	"time"
)

type reloadOutput struct{ Body Reloaded }

func (s *Server) reload(ctx context.Context, _ *struct{}) (*reloadOutput, error) {
	if s.conf.Reload == nil {
		return nil, newProblem(http.StatusNotImplemented, "This gateway has no configuration that could be read again.")
	}
	s.note(ctx, "reload over HTTP")
	done, err := s.conf.Reload()
	if err != nil {
		return nil, newProblem(http.StatusUnprocessableEntity, "%v", err)
	}
	if done.Applied == nil {
		done.Applied = []string{}
	}
	if done.Restart == nil {
		done.Restart = []string{}
	}
	return &reloadOutput{done}, nil
}

func (s *Server) drain(ctx context.Context, _ *struct{}) (*acceptedOutput, error) {
	s.note(ctx, "drain over HTTP")
	s.Drain()
	return new(acceptedOutput), nil
}

type healthOutput struct {
	Body struct {
		Status string `json:"status" enum:"ok"`
	} `nameHint:"Health"`
}

func (s *Server) health(context.Context, *struct{}) (*healthOutput, error) {
	out := new(healthOutput)
	out.Body.Status = "ok"
	return out, nil
}

func (s *Server) ready(ctx context.Context, in *struct{}) (*healthOutput, error) {
	if s.draining.Load() {
		return nil, newProblem(http.StatusServiceUnavailable, "The gateway is draining: it accepts no more devices.")
	}
	return s.health(ctx, in)
}

// profile shows what the process spends its time and memory on. A profile costs something to
// take and tells much, so it needs a token also where nothing else does. There is no
// cmdline among them.
func (s *Server) profile(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/debug/pprof/")
	if len(*s.tokens.Load()) == 0 {
		newProblem(http.StatusNotFound, "There are profiles only where a token is needed to see them.").write(w)
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Time{}) // takes as long as it was asked to
	w.Header().Del("Content-Security-Policy")                   // the index has a style of its own
	switch {
	case name == "profile":
		pprof.Profile(w, r)
	case name == "trace":
		pprof.Trace(w, r)
	case name == "" || runtimepprof.Lookup(name) != nil:
		pprof.Index(w, r)
	default:
		notFound.write(w)
	}
}

// showOpenAPI shows the description of the API.
func (s *Server) showOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/openapi+json")
	w.Write(s.openAPI)
}
