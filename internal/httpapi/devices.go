package httpapi

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/longwire/longwire/internal/gateway"
)

type devicesInput struct {
	Online   string `query:"online" enum:"true,false" doc:"only those that are connected, or only those that are not"`
	Group    string `query:"group" doc:"only those in this group"`
	Listener string `query:"listener" doc:"only those whose present or last connection came in here"`
	Prefix   string `query:"prefix" maxLength:"128" doc:"only those whose id begins so"`
	Search   string `query:"search" maxLength:"128" doc:"only those with this text, in small or capital letters, in their id, address, groups or the values of their attributes"`
	Sort     string `query:"sort" enum:"id,online,since,last_seen,remote_addr,listener,epoch,frames_in,frames_out,bytes_in,bytes_out,-id,-online,-since,-last_seen,-remote_addr,-listener,-epoch,-frames_in,-frames_out,-bytes_in,-bytes_out" doc:"what they are ordered by, from the largest to the smallest with - before it; by id if it is not said"`
	Offset   int    `query:"offset" minimum:"0" doc:"how many to pass over; not together with cursor, and pages may overlap when devices come and go"`
	Limit    int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"how many at most"`
	Cursor   string `query:"cursor" maxLength:"256" doc:"next of the page before; for lists that are in the order of ids"`
}

// ranked reports whether the request is for a part of a ranking, and not for a page behind another.
func (in *devicesInput) ranked() bool { return in.Search != "" || in.Sort != "" || in.Offset != 0 }

type devicesOutput struct {
	Body struct {
		Devices []gateway.Device `json:"devices" doc:"in the order of their ids, or as sort says"`
		Next    string           `json:"next" doc:"cursor of the next page; empty when this is the last one, and with search, sort or offset"`
		Total   *int             `json:"total,omitempty" doc:"how many there are in all; only with search, sort or offset"`
	} `nameHint:"DeviceList"`
}

func (s *Server) listDevices(_ context.Context, in *devicesInput) (*devicesOutput, error) {
	q := gateway.Query{Group: in.Group, Listener: in.Listener, Prefix: in.Prefix, Search: in.Search, Limit: in.Limit}
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
	out := new(devicesOutput)
	var page []gateway.Device
	var more bool
	if in.ranked() {
		if in.Cursor != "" {
			return nil, newProblem(http.StatusBadRequest, "A cursor goes with the order of ids alone; use offset with search and sort.")
		}
		by, descending := strings.CutPrefix(in.Sort, "-")
		ranking := gateway.Ranking{By: gateway.Column(by), Descending: descending, Offset: in.Offset}
		var total int
		page, total = s.g.Rank(q, ranking)
		out.Body.Total = &total
	} else {
		page, more = s.g.Devices(q)
	}
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
