package httpapi

import (
	"context"
	"fmt"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/longwire/longwire/internal/gateway"
)

// routes says who answers what, and makes the description of it.
func (s *Server) routes() error {
	json := huma.Format{Marshal: writeJSON, Unmarshal: decode}
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "longwire",
				Version: "1",
				Description: "Ask boards, tell them something, and see what they say. Times are RFC 3339, sizes bytes. " +
					"Responses may get more fields; requests must have no others than these.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"session": {Type: "apiKey", In: "cookie", Name: sessionCookie, Description: "Stands for a token, in a browser: POST /v1/session sets it."},
					"token":   {Type: "http", Scheme: "bearer", Description: "Not needed where the gateway listens on the loopback interface and has no token."},
				},
			},
			Security: []map[string][]string{{"token": {}}, {"session": {}}, {}},
		},
		Formats:                      map[string]huma.Format{"application/json": json, "json": json},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
	config.AllowAdditionalPropertiesByDefault = true
	s.api = humago.New(s.mux, config)
	s.api.UseMiddleware(func(c huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(c)
		if p := checkQuery(r.URL.RawQuery); p != nil {
			p.write(w)
			return
		}
		next(c)
	})

	add(s, "GET /v1/devices", "listDevices", "The devices that have been connected", s.listDevices, 200, 400)
	add(s, "GET /v1/devices/{id}", "getDevice", "What is known of a device", s.showDevice, 200, 404)
	add(s, "DELETE /v1/devices/{id}/connection", "disconnectDevice", "End the connection of a device; it may come back at once", s.kickDevice, 204, 404, 409)
	add(s, "GET /v1/devices/{id}/frames", "listFrames", "The latest frames from and to a device", s.showFrames, 200, 404)
	add(s, "GET /v1/devices/{id}/trace", "traceDevice", "The frames from and to a device as they go, as server-sent events", s.trace, 200, 400, 404, 503)
	add(s, "POST /v1/devices/{id}/ask", "ask", "Ask a device, and wait for its answer", s.ask, 200, 400, 404, 408, 409, 413, 415, 429, 503, 504)
	add(s, "POST /v1/devices/{id}/push", "push", "Tell a device something that needs no answer", s.push, 202, 400, 404, 408, 409, 413, 415, 503, 504)
	add(s, "POST /v1/broadcast", "broadcast", "Tell many devices something, without waiting for any", s.broadcast, 200, 400, 408, 413, 415, 503)
	add(s, "POST /v1/devices/{id}/commands", "putCommand", "Have a command wait for a device, also for one that is away", s.putCommand, 202, 400, 404, 408, 413, 415, 422, 429, 503, 507)
	add(s, "GET /v1/devices/{id}/commands", "listCommands", "The commands of a device", s.listCommands, 200, 400, 404, 503)
	add(s, "GET /v1/devices/{id}/commands/{cid}", "getCommand", "What has become of a command", s.showCommand, 200, 400, 404, 503)
	add(s, "DELETE /v1/devices/{id}/commands/{cid}", "cancelCommand", "Call a command back that is not with its device", s.cancelCommand, 200, 404, 409, 503, 507)
	add(s, "POST /v1/devices/{id}/commands/{cid}/retry", "retryCommand", "Have a command wait again that has ended without being done: the same one, at the end of the line, with all its attempts and as much time as it had", s.retryCommand, 202, 404, 409, 413, 429, 503, 507)
	add(s, "GET /v1/commands", "listAllCommands", "The commands of all devices", s.latestCommands, 200, 400, 503)
	add(s, "POST /v1/commands", "putCommands", "Have a command wait for each of many devices", s.putCommands, 202, 400, 408, 413, 415, 503, 507)
	add(s, "GET /v1/types", "listTypes", "The types of messages that have a name", s.listTypes, 200)
	add(s, "GET /v1/store", "getStore", "What is kept, and how that fares", s.showStore, 200, 503)
	add(s, "GET /v1/stats", "getStats", "What has been counted, and how the last hour has been", s.showStats, 200, 400)
	add(s, "GET /v1/events", "streamEvents", "What happens, as server-sent events", s.events, 200, 400, 503)
	add(s, "GET /v1/session", "getSession", "Whether a token is needed, and whose this request has", s.showSession, 200)
	add(s, "POST /v1/session", "beginSession", "Have a browser keep a cookie that stands for a token", s.login, 204, 400, 401, 408, 409, 413, 415)
	add(s, "DELETE /v1/session", "endSession", "Have the browser forget the cookie", s.logout, 204)
	add(s, "POST /v1/reload", "reload", "Read the configuration again", s.reload, 200, 422, 501)
	add(s, "POST /v1/drain", "drain", "Have the gateway let its devices go in good order, and stop", s.drain, 202)
	add(s, "GET /healthz", "health", "Whether the process works", s.health, 200)
	add(s, "GET /readyz", "ready", "Whether the gateway accepts devices", s.ready, 200, 503)
	s.describe()

	var err error
	if s.openAPI, err = s.api.OpenAPI().MarshalJSON(); err != nil {
		return fmt.Errorf("httpapi: %w", err)
	}
	s.mux.HandleFunc("GET /v1/openapi.json", s.showOpenAPI)
	s.mux.HandleFunc("GET /debug/pprof/", s.profile)
	if s.conf.Metrics != nil {
		s.mux.Handle("GET /metrics", s.conf.Metrics)
	}
	return nil
}

// meanings are what statuses mean, where that does not depend on what was asked for.
var meanings = map[int]string{
	200: "Done",
	202: "Accepted: it has no answer to wait for",
	204: "Done",
	400: "Something in the request is wrong",
	404: "No such device has ever been connected, or it has no such command",
	408: "The request's body did not arrive in time",
	401: "The token is not one of those that are configured",
	409: "The device is not connected, or not any more; a command is with its device, or has ended; no token is needed for a session",
	413: "The body is too large, or the frame would be",
	415: "The body is not application/json",
	422: "The new configuration is wrong, and the old one stays in force; the Idempotency-Key was that of another request",
	429: "Too many questions wait for answers of the device, or too many commands for it",
	501: "There is no configuration to read",
	503: "Not now",
	504: "The device has not answered, or taken the message, in time",
	507: "There is no room on the disk",
}

// add has a method of the server answer a request. The statuses are those that it may
// respond with, the first one when all is well; 401, 403, 429 and 500 any request may
// meet with.
func add[In, Out any](s *Server, route, id, summary string, answer func(context.Context, *In) (*Out, error), status int, problems ...int) {
	var op huma.Operation
	fmt.Sscan(route, &op.Method, &op.Path)
	op.OperationID, op.Summary = id, summary
	op.DefaultStatus = status
	op.Responses = map[string]*huma.Response{strconv.Itoa(status): {Description: meanings[status]}}
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem](), true, "")
	content := map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}
	for _, status := range problems {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: meanings[status], Content: content}
	}
	op.Responses["default"] = &huma.Response{
		Description: "401 without a right token, 403 for a page of another site, 429 after many wrong tokens, 500 when something is wrong here",
		Content:     content,
	}
	// The server has read the body before, and decode judges what is in it.
	op.SkipValidateBody = true
	op.MaxBodyBytes, op.BodyReadTimeout = -1, -1
	if op.Path == "/healthz" || op.Path == "/readyz" || op.Path == sessionPath {
		op.Security = []map[string][]string{}
	}
	huma.Register(s.api, op, answer)
}

// describe says what the types cannot.
func (s *Server) describe() {
	doc := s.api.OpenAPI()
	schemas := doc.Components.Schemas
	schemas.Map()["Device"].Properties["last_close"] = orNull(schemas.Map()["Device"].Properties["last_close"])

	schemas.Map()["Keeping"].Properties["delivery"] = orNull(schemas.Map()["Keeping"].Properties["delivery"])
	for _, field := range []string{"commands", "store", "delivery"} {
		properties := schemas.Map()["Statistics"].Properties
		properties[field] = orNull(properties[field])
	}
	for path, meaning := range map[string][2]string{
		"/v1/devices/{id}/commands": {"The command has ended within wait, or an earlier request had the same Idempotency-Key", "The command is on disk"},
		"/v1/commands":              {"No command is new: earlier requests had the same Idempotency-Key, or there is none for any device", "The commands are on disk"},
	} {
		responses := doc.Paths[path].Post.Responses
		responses["200"] = &huma.Response{Description: meaning[0], Content: responses["202"].Content}
		responses["202"].Description = meaning[1]
	}

	event := schemas.Schema(reflect.TypeFor[gateway.Event](), true, "")
	// How wide an int is here is not the client's business; and int32 has no room for all types.
	for _, schema := range schemas.Map() {
		for _, field := range schema.Properties {
			if field.Type == huma.TypeInteger {
				field.Format = ""
			}
		}
	}
	for _, path := range []string{"/v1/devices", "/v1/devices/{id}/commands", "/v1/commands"} {
		for _, p := range doc.Paths[path].Get.Parameters {
			if p.Schema.Type == huma.TypeInteger {
				p.Schema.Format = ""
			}
		}
	}

	lost := &huma.Schema{
		Type:       huma.TypeObject,
		Properties: map[string]*huma.Schema{"count": {Type: huma.TypeInteger}},
		Required:   []string{"count"},
	}
	stream := func(about string, events ...*huma.Schema) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{
			Type:        huma.TypeArray,
			Description: "Each item is one event, in the text form of server-sent events. " + about + " An event named lost says how many there have been that are not remembered any more. A line that is a comment comes after 15 seconds without an event.",
			Items:       &huma.Schema{OneOf: events},
		}}}
	}
	one := func(name string, data *huma.Schema) *huma.Schema {
		return &huma.Schema{
			Title: name,
			Type:  huma.TypeObject,
			Properties: map[string]*huma.Schema{
				"id":    {Type: huma.TypeInteger, Description: "grows, also from one run of the gateway to the next"},
				"event": {Type: huma.TypeString, Enum: []any{name}},
				"data":  data,
			},
			Required: []string{"event", "data"},
		}
	}
	doc.Paths["/v1/events"].Get.Responses["200"].Content = stream("They tell what happens.",
		one(string(gateway.EventMessage), event), one(string(gateway.EventConnect), event), one(string(gateway.EventDisconnect), event), one(string(gateway.EventCommand), event), one("lost", lost))
	doc.Paths["/v1/devices/{id}/trace"].Get.Responses["200"].Content = stream("Each is a frame; logins and pings are not among them. While somebody reads, the data of the device's frames is remembered too.",
		one("frame", schemas.Schema(reflect.TypeFor[gateway.Frame](), true, "")), one("lost", lost))
}

// orNull says that a field may be null, which huma cannot of objects.
func orNull(s *huma.Schema) *huma.Schema {
	return &huma.Schema{
		AnyOf:       []*huma.Schema{{Ref: s.Ref}, {Type: "null"}},
		Description: s.Description,
	}
}
