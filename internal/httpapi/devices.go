package httpapi

import (
	"context"
	"encoding/base64"
	"net/http"

	"github.com/longwire/longwire/internal/gateway"
)

type devicesInput struct {
	Online   string `query:"online" enum:"true,false" doc:"only those that are connected, or only those that are not"`
	Group    string `query:"group" doc:"only those in this group"`
	Listener string `query:"listener" doc:"only those whose present or last connection came in here"`
	Prefix   string `query:"prefix" maxLength:"128" doc:"only those whose id begins so"`
	Limit    int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"how many at most"`
	Cursor   string `query:"cursor" maxLength:"256" doc:"next of the page before"`
}

type devicesOutput struct {
	Body struct {
		Devices []gateway.Device `json:"devices" doc:"in the order of their ids"`
		Next    string           `json:"next" doc:"cursor of the next page; empty when this is the last one"`
	} `nameHint:"DeviceList"`
}

func (s *Server) listDevices(_ context.Context, in *devicesInput) (*devicesOutput, error) {
	q := gateway.Query{Group: in.Group, Listener: in.Listener, Prefix: in.Prefix, Limit: in.Limit}
	if in.Online != "" {
		online := in.Online == "true"
		q.Online = &online
	}
	if in.Cursor != "" {
		id, err := base64.RawURLEncoding.DecodeString(in.Cursor)
		if err != nil || !gateway.ValidID(string(id)) {
			return nil, newProblem(http.StatusBadRequest, "The cursor is not one of those that were given in next.")
		}
		q.After = string(id)
	}
	page, more := s.g.Devices(q)
	out := new(devicesOutput)
	out.Body.Devices = page
	if page == nil {
		out.Body.Devices = []gateway.Device{}
	}
	if more {
		out.Body.Next = base64.RawURLEncoding.EncodeToString([]byte(page[len(page)-1].ID))
	}
	return out, nil
}

// A deviceID is the id in the path of a request. One that cannot be an id is unknown like
// any other that nobody has.
type deviceID struct {
	ID string `path:"id" doc:"the id of the device"`
}

type deviceOutput struct{ Body gateway.Device }

func (s *Server) showDevice(ctx context.Context, in *deviceID) (*deviceOutput, error) {
	d, err := s.g.Device(in.ID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &deviceOutput{d}, nil
}

// nothing is the response that has no body.
type nothing struct{}

func (s *Server) kickDevice(ctx context.Context, in *deviceID) (*nothing, error) {
	if err := s.g.Kick(in.ID); err != nil {
		return nil, s.fail(ctx, err)
	}
	s.note(ctx, "disconnect over HTTP", "device", in.ID)
	return nil, nil
}

type framesOutput struct {
	Body struct {
		Frames []gateway.Frame `json:"frames" doc:"the oldest first; none where the configuration does not say to remember any"`
	} `nameHint:"FrameList"`
}

func (s *Server) showFrames(ctx context.Context, in *deviceID) (*framesOutput, error) {
	frames, err := s.g.Frames(in.ID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	out := new(framesOutput)
	out.Body.Frames = frames
	return out, nil
}
