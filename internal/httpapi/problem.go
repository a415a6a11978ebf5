package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/gateway"
)

// A problem says why a request was not fulfilled.
type problem struct {
	Type   string `json:"type" format:"uri-reference" doc:"always about:blank: the status says what kind of problem it is"`
	Title  string `json:"title" doc:"the status in words"`
	Status int    `json:"status" doc:"the status of the response"`
	Detail string `json:"detail" doc:"what is wrong, in a sentence for people"`
}

func newProblem(status int, detail string, args ...any) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(detail, args...)}
}

var (
	notFound  = newProblem(http.StatusNotFound, "There is nothing at this path.")
	noDevice  = newProblem(http.StatusNotFound, "No device with this id has ever been connected.")
	notOnline = newProblem(http.StatusConflict, "The device is not connected.")
	internal  = newProblem(http.StatusInternalServerError, "Something went wrong here; the log of the gateway has more.")
)

// Error returns the detail.
func (p *problem) Error() string { return p.Detail }

// GetStatus makes it an error that huma responds with as it is.
func (p *problem) GetStatus() int { return p.Status }

// ContentType tells huma the media type of problems.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// write responds with the problem.
func (p *problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	writeJSON(w, p)
}

// refuse responds with the problem and hangs up: who is let in no further shall not keep
// a connection either, nor go on with a body, which package http would wait for.
func (p *problem) refuse(w http.ResponseWriter, rc *http.ResponseController) {
	if p.Status != http.StatusRequestTimeout { // which has passed
		rc.SetReadDeadline(time.Now().Add(refuseTimeout))
	}
	w.Header().Set("Connection", "close")
	p.write(w)
}

func stack() string { return string(debug.Stack()) }

// What huma finds wrong with a request has the form of all problems. It tells apart what
// cannot be read (400) and what is not valid (422), which is one thing to those who ask.
func init() {
	huma.NewError = func(status int, text string, errs ...error) huma.StatusError {
		if status >= 500 {
			return internal
		}
		if status == http.StatusUnprocessableEntity {
			status = http.StatusBadRequest
		}
		var found []string
		for _, err := range errs {
			found = append(found, explain(err))
		}
		if len(found) == 0 {
			found = []string{text}
		}
		return newProblem(status, "%s.", strings.Join(found, "; "))
	}
	// No list of ours is ever null.
	huma.DefaultArrayNullable = false
}

// explain says what huma found, and where, without what was sent.
func explain(err error) string {
	detailed, ok := err.(huma.ErrorDetailer)
	if !ok {
		return err.Error()
	}
	d := detailed.ErrorDetail()
	if d.Location == "" || d.Location == "body" {
		return d.Message
	}
	return fmt.Sprintf("%.128q: %s", d.Location, d.Message)
}

// fail makes an error of the gateway a problem.
func (s *Server) fail(ctx context.Context, err error) error {
	if p, is := errors.AsType[*problem](err); is {
		return p
	}
	if p := failCommand(err); p != nil {
		return p
	}
	misfit, isMisfit := errors.AsType[*frame.Error](err)
	switch {
	case errors.Is(err, gateway.ErrUnknown):
		return noDevice
	case errors.Is(err, gateway.ErrAway):
		return notOnline
	case errors.Is(err, gateway.ErrNoAnswer):
		return newProblem(http.StatusGatewayTimeout, "The device has not answered in time.")
	case errors.Is(err, gateway.ErrNoRoom):
		return newProblem(http.StatusGatewayTimeout, "The device has left so much unread that there was no room in time.")
	case errors.Is(err, gateway.ErrBusy):
		return newProblem(http.StatusTooManyRequests, "Too many questions wait for answers of the device.")
	case isMisfit && misfit.Reason == frame.TooLarge:
		return newProblem(http.StatusRequestEntityTooLarge, "The frame would have %d bytes; the device's listener allows %d.", misfit.Got, misfit.Want)
	case isMisfit && misfit.Reason == frame.BadType:
		return newProblem(http.StatusBadRequest, "The type is larger than 0x%x, the largest that the frame of the device's listener has room for.", misfit.Want)
	case ctx.Err() != nil: // nobody reads this
		return newProblem(http.StatusServiceUnavailable, "The request has ended.")
	}
	s.conf.Logger.Error("request failed", "error", err)
	return internal
}
