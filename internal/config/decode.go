package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/longwire/longwire"
)

// An origin is where a setting has its value from.
type origin struct {
	line int    // of the file; 0 when it is not there
	from string // the flag or variable, empty when it is the file
}

// A decoder makes YAML into a Config. It goes on after a problem, so that all are
// told at once.
type decoder struct {
	name     string // of the file
	origins  map[string]origin
	problems Problems
	values   int // seen so far
}

// A defaulter is a part of a Config with defaults of its own.
type defaulter interface{ setDefaults() }

func (d *decoder) problemf(line int, setting, format string, args ...any) {
	d.problems = append(d.problems, &Problem{File: d.name, Line: line, Setting: setting, Text: fmt.Sprintf(format, args...)})
}

// decode sets v, the setting with that path, to what a node says. Line is where the
// setting stands.
func (d *decoder) decode(n *yaml.Node, line int, v reflect.Value, path string, s setting) {
	if d.tooMuch(line, path) {
		return
	}
	d.origins[path] = origin{line: line}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		d.problemf(line, path, "has the tag %.64q, and settings have none; leave it out", n.Tag)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		d.problemf(line, path, "has no value; write one, or leave the setting out")
	case v.Kind() == reflect.Pointer:
		v.Set(newDefault(v.Type().Elem()))
		d.decode(n, line, v.Elem(), path, s)
	case v.Kind() == reflect.Struct && n.Kind == yaml.ScalarNode && s.short != "":
		short, _ := settingOf(v.Type(), s.short)
		d.decode(n, line, v.FieldByIndex(short.index), path, short)
		d.origins[join(path, short.name)] = origin{line: line}
	case v.Kind() == reflect.Struct:
		d.decodeStruct(n, line, v, path)
	case v.Kind() == reflect.Map:
		d.decodeMap(n, line, v, path, s)
	case v.Kind() == reflect.Slice:
		d.decodeList(n, line, v, path, s)
	case n.Kind != yaml.ScalarNode:
		d.problemf(line, path, "is %s, and takes one value", kindOf(n))
	default:
		if err := s.set(v, n.Value); err != nil {
			d.problemf(line, path, "%v", err)
		}
	}
}

// tooMuch counts what there is in a file with all that its aliases repeat. It is true
// when that, or what is wrong with it, is more than anybody means.
func (d *decoder) tooMuch(line int, path string) bool {
	if d.values++; d.values == mostValues+1 {
		d.problemf(line, path, "there are more than %d values in the file up to here, with what aliases repeat; write fewer aliases", mostValues)
	}
	return d.values > mostValues || len(d.problems) > 10*mostProblems
}

func newDefault(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	if def, ok := v.Interface().(defaulter); ok {
		def.setDefaults()
	}
	return v
}

func (d *decoder) decodeStruct(n *yaml.Node, line int, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.problemf(line, path, "is %s, and has settings under it, like %s; write them indented in lines of their own, or in { }", kindOf(n), strings.Join(names(v.Type())[:2], " and "))
		return
	}
	d.eachPair(n, path, func(key, value *yaml.Node, path string) {
		if s, ok := settingOf(v.Type(), key.Value); ok {
			d.decode(value, key.Line, v.FieldByIndex(s.index), path, s)
			return
		}
		d.problemf(key.Line, path, "there is no such setting%s", cmp.Or(
			didYouMean(key.Value, names(v.Type())), didYouMeanUnder(key.Value, v.Type())))
	})
}

// didYouMeanUnder names the section that a setting belongs in, if it is one of these.
func didYouMeanUnder(name string, t reflect.Type) string {
	if strings.Contains(name, ".") {
		return "; what stands before a dot is a section: write it in a line of its own, and the rest indented under it"
	}
	for _, section := range settingsOf(t) {
		if section.typ.Kind() == reflect.Struct {
			if _, ok := settingOf(section.typ, name); ok {
				return fmt.Sprintf("; did you mean %s.%s?", section.name, name)
			}
		}
	}
	return ""
}

func (d *decoder) decodeMap(n *yaml.Node, line int, v reflect.Value, path string, s setting) {
	if n.Kind != yaml.MappingNode {
		d.problemf(line, path, "is %s, and takes names with values; write them indented in lines of their own, or in { }", kindOf(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	d.eachPair(n, path, func(key, value *yaml.Node, path string) {
		elem := newDefault(v.Type().Elem())
		d.decode(value, key.Line, elem.Elem(), path, setting{short: s.short})
		v.SetMapIndex(reflect.ValueOf(key.Value), elem.Elem())
	})
}

func (d *decoder) decodeList(n *yaml.Node, line int, v reflect.Value, path string, s setting) {
	if n.Kind != yaml.SequenceNode {
		d.problemf(line, path, "is %s, and takes a list; write each item in a line of its own with - before it, or all in [ ]", kindOf(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, len(n.Content)))
	for i, item := range n.Content {
		elem := newDefault(v.Type().Elem())
		d.decode(item, item.Line, elem.Elem(), fmt.Sprintf("%s[%d]", path, i), setting{})
		v.Set(reflect.Append(v, elem.Elem()))
	}
}

// eachPair calls f with every key of a mapping that is text and stands there once.
func (d *decoder) eachPair(n *yaml.Node, path string, f func(key, value *yaml.Node, path string)) {
	lines := make(map[string]int)
	for pair := range slices.Chunk(n.Content, 2) {
		key, value := pair[0], pair[1]
		switch {
		case d.tooMuch(key.Line, path):
			return
		case key.Tag == "!!merge":
			d.problemf(key.Line, path, "has <<, which is not for configurations; repeat the settings, or give a whole section with an alias")
			continue
		case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0 || key.Tag == "!!null":
			d.problemf(key.Line, path, "has something under it that has no name; write a name before the colon")
			continue
		}
		below := join(path, key.Value)
		if line, twice := lines[key.Value]; twice {
			d.problemf(key.Line, below, "stands here a second time, after line %d; leave one of them out", line)
			continue
		}
		lines[key.Value] = key.Line
		f(key, value, below)
	}
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	}
	return "one value"
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)

// join returns the path of a setting below another.
func join(path, name string) string {
	if !plainName.MatchString(name) {
		return fmt.Sprintf("%s[%.64q]", path, name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// set reads the text of a lone value.
func (s *setting) set(v reflect.Value, text string) error {
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		return errors.New("has a line break or another character in it that cannot be printed; write it in one line")
	}
	switch {
	case s.takes("off") && strings.EqualFold(text, "off"),
		s.takes("off") && text == "" && v.Kind() == reflect.String && v.Type() != reflect.TypeFor[Directory]():
		v.SetZero()
		return nil
	case s.takes("auto") && strings.EqualFold(text, "auto"):
		v.SetInt(Auto)
		return nil
	case v.CanInt() && (strings.EqualFold(text, "off") || strings.EqualFold(text, "auto")):
		return fmt.Errorf("cannot be %s", text)
	}
	switch target := v.Addr().Interface().(type) {
	case interface{ Set(string) error }:
		if err := target.Set(text); err != nil {
			return err
		}
		if v.CanInt() && v.IsZero() && !s.takes("off") {
			return fmt.Errorf("is %s; it must be more than 0", text)
		}
		return nil
	case word:
		chosen, err := choose(text, target.words())
		if err == nil {
			v.SetString(chosen)
		}
		return err
	case *longwire.Type:
		t, err := parseType(text)
		if err == nil {
			*target = t
		}
		return err
	case *bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%.64q is neither true nor false", text)
		}
		*target = text == "true"
		return nil
	case *int:
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return fmt.Errorf("%.64q is not a number from 0 to %d", text, math.MaxInt32)
		}
		*target = int(n)
		return nil
	case *string:
		*target = text
		return nil
	}
	panic("config: no setting can be a " + v.Type().String())
}
