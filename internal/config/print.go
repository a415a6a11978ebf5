package config

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/longwire/longwire"
)

// YAML returns the configuration as a file, with what each setting means and where it
// has its value from, unless that is the default. Secrets are hidden, so it can be
// shown to others.
func (c *Config) YAML() []byte {
	p := &printer{origins: c.origins, name: c.name}
	p.section(reflect.ValueOf(c).Elem(), "", "", true)
	return p.out.Bytes()
}

// Documented returns the default configuration as a file that says what each setting
// means. What is not there without being asked for is in comments.
func Documented() []byte {
	p := &printer{samples: true}
	p.section(reflect.ValueOf(Default()).Elem(), "", "", true)
	return p.out.Bytes()
}

// A printer writes a Config as YAML.
type printer struct {
	out     bytes.Buffer
	prefix  string // of each line
	name    string // of the file
	origins map[string]origin
	samples bool // show in comments what is not there
	reveal  bool // show secrets
}

const lineWidth = 100

// section writes what there is in a section, with the documentation if docs is true.
func (p *printer) section(v reflect.Value, path, indent string, docs bool) {
	for i, s := range settingsOf(v.Type()) {
		field, below := v.FieldByIndex(s.index), join(path, s.name)
		if field.Kind() == reflect.Pointer && field.IsNil() && !p.samples {
			continue
		}
		if docs {
			if path == "" && i > 0 {
				p.line("", "")
			}
			p.comment(s, indent)
		}
		p.setting(field, s, below, indent, docs)
	}
}

func (p *printer) comment(s setting, indent string) {
	text := s.doc
	if s.def != "" {
		text += " Default: " + s.def + "."
	}
	room := max(40, lineWidth-len(p.prefix)-len(indent)-len("# "))
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > room {
			p.line(indent, "# "+line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	p.line(indent, "# "+line)
}

func (p *printer) line(indent, text string) {
	p.out.WriteString(strings.TrimRight(p.prefix+indent+text, " ") + "\n")
}

// setting writes one setting with its name.
func (p *printer) setting(v reflect.Value, s setting, path, indent string, docs bool) {
	key := s.name + ":"
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		p.sample(newDefault(s.typ).Elem(), indent, key)
	case v.Kind() == reflect.Pointer:
		p.setting(v.Elem(), s, path, indent, docs)
	case v.Kind() == reflect.Struct:
		p.line(indent, key)
		p.section(v, path, indent+"  ", docs)
	case v.Kind() == reflect.Slice && v.Len() == 0 && v.Type().Elem().Kind() == reflect.Struct:
		p.line(indent, key+" []")
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		p.line(indent, key)
		for i := range v.Len() {
			p.item(v.Index(i), fmt.Sprintf("%s[%d]", path, i), indent+"  ", docs && i == 0)
		}
	case v.Kind() == reflect.Map && v.Len() == 0 && p.samples && s.typ.Elem().Kind() == reflect.Struct:
		p.sample(newDefault(s.typ.Elem()).Elem(), indent, key, s.example+":")
	case v.Kind() == reflect.Map && v.Len() == 0 && p.samples:
		p.line(indent, "# "+key+" "+s.example)
	case v.Kind() == reflect.Map && v.Len() == 0:
		p.line(indent, key+" {}")
	case v.Kind() == reflect.Map:
		p.line(indent, key)
		p.entries(v, path, indent+"  ", docs)
	default:
		p.line(indent, key+" "+p.value(v, s)+p.source(path))
	}
}

// item writes an item of a list, whose first line has a dash.
func (p *printer) item(v reflect.Value, path, indent string, docs bool) {
	item := &printer{origins: p.origins, name: p.name, samples: p.samples, reveal: p.reveal, prefix: p.prefix}
	item.section(v, path, indent+"  ", docs)
	dashed := false
	for line := range strings.Lines(item.out.String()) {
		if text := strings.TrimPrefix(line, p.prefix+indent+"  "); !dashed {
			if strings.HasPrefix(text, "# ") {
				line = p.prefix + indent + text
			} else {
				line, dashed = p.prefix+indent+"- "+text, true
			}
		}
		p.out.WriteString(line)
	}
}

// entries writes a map.
func (p *printer) entries(v reflect.Value, path, indent string, docs bool) {
	for i, name := range slices.Sorted(maps.Keys(keysOf(v))) {
		elem, key, below := v.MapIndex(reflect.ValueOf(name)), quoted(name)+":", join(path, name)
		switch {
		case elem.Kind() == reflect.Struct:
			p.line(indent, key)
			p.section(elem, below, indent+"  ", docs && i == 0)
		case elem.Kind() == reflect.Map && elem.Len() > 0:
			p.line(indent, key)
			p.entries(elem, below, indent+"  ", false)
		case elem.Kind() == reflect.Map:
			p.line(indent, key+" {}")
		default:
			p.line(indent, key+" "+p.value(elem, setting{})+p.source(below))
		}
	}
}

func keysOf(v reflect.Value) map[string]bool {
	keys := make(map[string]bool)
	for _, k := range v.MapKeys() {
		keys[k.String()] = true
	}
	return keys
}

// sample writes a section, under its keys, in comments.
func (p *printer) sample(v reflect.Value, indent string, keys ...string) {
	before := p.prefix
	p.prefix += indent + "# "
	inner := ""
	for _, key := range keys {
		p.line(inner, key)
		inner += "  "
	}
	p.section(v, "sample", inner, true)
	p.prefix = before
}

// source returns a comment that says where a value is from.
func (p *printer) source(path string) string {
	o, ok := p.origins[path]
	switch {
	case !ok:
		return ""
	case o.from != "":
		return "  # " + o.from
	}
	return fmt.Sprintf("  # %s:%d", printable(p.name), o.line)
}

// value returns the text of a value, or of a list of values.
func (p *printer) value(v reflect.Value, s setting) string {
	switch value := v.Interface().(type) {
	case []string:
		items := make([]string, len(value))
		for i, item := range value {
			items[i] = quoted(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case Hash:
		if p.reveal {
			return quoted(value.Reveal())
		}
		return quoted(value.String())
	case URL:
		if p.reveal && value != "" {
			return quoted(string(value))
		}
	case Servers:
		if p.reveal && value != "" {
			return quoted(string(value))
		}
	case Hex:
		return quoted(value.String())
	case longwire.Type:
		if value == noType {
			return s.example
		}
	}
	switch {
	case v.IsZero() && s.example != "" && p.samples:
		return s.example
	case v.IsZero() && s.takes("off"):
		return "off"
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case v.Type() == reflect.TypeFor[int]():
		return strconv.FormatInt(v.Int(), 10)
	}
	if text, ok := v.Interface().(fmt.Stringer); ok && v.Kind() != reflect.String {
		return text.String()
	} else if ok {
		return quoted(text.String())
	}
	return quoted(fmt.Sprint(v.Interface()))
}

var (
	plainText = regexp.MustCompile(`^([A-Za-z0-9/]|\./)[A-Za-z0-9_./:@%-]*$`)
	// A word, a number or a time to one reader of YAML or another.
	notText = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null|[0-9_.]+(e[0-9+-]*)?|0[xob][0-9a-f_]*|[0-9_]+(:[0-9_.]+)+|[0-9]+-[0-9]+-[0-9].*)$|:$`)
)

// quoted returns text as YAML, in quotes if any reader could take it for something
// else. All of its characters can be printed.
func quoted(text string) string {
	if plainText.MatchString(text) && !notText.MatchString(text) {
		return text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
