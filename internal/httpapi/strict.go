package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/longwire/longwire/internal/gateway"
)

// maxDepth is how many arrays and objects the library allows inside one another, in the
// data of a message. A body has it inside one object more.
const maxDepth = 31

// decode reads a body into v, which is a struct. Package json takes a name in other letters
// for the field, the last of two values, and bytes that are no text for others; and
// whoever checked the request before may have understood something else. Here that is an
// error.
func decode(data []byte, v any) error {
	if gateway.Deeper(data, maxDepth+1) {
		return fmt.Errorf("more than %d arrays and objects inside one another", maxDepth)
	}
	if !utf8.Valid(data) {
		return errors.New("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := checkNames(dec, reflect.TypeOf(v).Elem(), ""); err != nil {
		return err
	}
	if _, err := dec.Token(); err == nil || dec.More() {
		return errors.New("there is more behind the JSON of the body")
	}
	return understandable(json.Unmarshal(data, v))
}

// checkQuery says what is wrong with the parameters of a request, whatever they are. Of a parameter that is
// there twice package huma takes the first, and what it cannot read it leaves out: then the request would be for
// something else than somebody has asked for.
func checkQuery(raw string) *problem {
	parameters, err := url.ParseQuery(raw)
	if err != nil {
		return newProblem(http.StatusBadRequest, "The parameters cannot be read: a %% needs two hexadecimal digits behind it, and a semicolon is written %%3B.")
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if len(parameters[name]) > 1 {
			return newProblem(http.StatusBadRequest, "The parameter %.64q is there twice.", name)
		}
	}
	return nil
}

// checkNames reads an object, whose fields must be those of the struct t, each at most once and
// in the same letters. Path is where the object stands.
func checkNames(dec *json.Decoder, t reflect.Type, path string) error {
	begin, err := dec.Token()
	if err != nil {
		return malformed(err)
	}
	if begin != json.Delim('{') {
		return fmt.Errorf("%s must be an object", cmp.Or(strings.TrimSuffix(path, "."), "the body"))
	}
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return malformed(err)
		}
		name, _ := token.(string)
		field, known := fieldOf(t, name)
		switch {
		case !known:
			return fmt.Errorf("there is no field %.64q", path+name)
		case seen[name]:
			return fmt.Errorf("the field %.64q is there twice", path+name)
		}
		seen[name] = true
		if field.Kind() == reflect.Struct {
			err = checkNames(dec, field, path+name+".")
		} else {
			var value json.RawMessage
			err = malformed(dec.Decode(&value))
		}
		if err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return malformed(err)
}

// fieldOf returns the type of the field that has that name in JSON.
func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for f := range t.Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name && f.IsExported() {
			return f.Type, true
		}
	}
	return nil, false
}

func malformed(err error) error {
	if err == nil {
		return nil
	}
	if at, is := errors.AsType[*json.SyntaxError](err); is {
		return fmt.Errorf("the body is not JSON: %v (at byte %d)", at, at.Offset)
	}
	return errors.New("the body is not JSON: it ends too early")
}

// understandable says what does not fit without the names of our types.
func understandable(err error) error {
	if misfit, is := errors.AsType[*json.UnmarshalTypeError](err); is {
		what, _, _ := strings.Cut(misfit.Value, " ")
		return fmt.Errorf("a %s is no value for the field %q", what, misfit.Field)
	}
	return err
}
