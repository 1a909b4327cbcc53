package bounded

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of a document. Objects are what decoding multiplies: {} is two bytes
// and some 300 once it is a package. A bill of materials has about 100 bytes for
// each of its objects, so one that fills MaxBytes keeps below MaxObjects.
const (
	MaxBytes   = 16 << 20
	MaxDepth   = 64
	MaxObjects = 250_000
	MaxValues  = 1_000_000
	// MaxNumber is the length of a number, its exponent apart.
	MaxNumber = 64
	// maxExponent digits: 1e999 is past any use, and 1e999999999 is no number that
	// arithmetic survives.
	maxExponent = 3
)

// Check refuses a document that is past a bound, is no JSON, or can be read in two
// ways. It decodes nothing, and allocates for the keys of open objects only.
func Check(data []byte) error {
	if len(data) > MaxBytes {
		return Refuse(TooLarge, "", "got %d bytes, want at most %d", len(data), MaxBytes)
	}
	if !utf8.Valid(data) {
		return Refuse(Malformed, "", "got bytes that are not UTF-8, want JSON")
	}
	if !json.Valid(data) {
		return syntax(data)
	}
	w := walker{data: data, stop: len(data)}
	if err := w.walk(); err != nil {
		return err
	}
	return nil
}

// syntax says where a document stops being JSON.
func syntax(data []byte) error {
	var ignored json.RawMessage
	err := json.Unmarshal(data, &ignored)
	var wrong *json.SyntaxError
	switch {
	case !errors.As(err, &wrong):
		return Refuse(Malformed, "", "got something else, want JSON")
	case strings.HasSuffix(wrong.Error(), "exceeded max depth"): // 10,000
		return Refuse(TooLarge, "", "got lists and objects deeper than %d, want at most that", MaxDepth)
	}
	return Refuse(Malformed, "", "got %s at byte %d, want JSON", wrong.Error(), wrong.Offset)
}

// walker goes over valid JSON once, value by value.
type walker struct {
	data []byte
	// at is the next byte; nothing that begins at stop or behind it is read.
	at, stop        int
	values, objects int
	open            []container
	// keys are those of all open objects, the innermost last.
	keys [][]byte
}

// container is an open list or object.
type container struct {
	object bool
	// count is how many elements or members have begun.
	count int
	// keys is where its keys begin.
	keys int
	// key is the last one, decoded.
	key []byte
}

// walk requires valid JSON: what it skips was looked at before.
func (w *walker) walk() *Error {
	for wantKey := false; w.at < w.stop; {
		switch c := w.data[w.at]; c {
		case ' ', '\t', '\r', '\n', ':':
			w.at++
		case ',':
			w.at++
			wantKey = w.open[len(w.open)-1].object
		case ']', '}':
			w.at++
			wantKey = false
			if err := w.leave(); err != nil {
				return err
			}
		case '"':
			if wantKey {
				w.key()
				wantKey = false
				continue
			}
			fallthrough
		default:
			if err := w.value(); err != nil {
				return err
			}
			wantKey = c == '{'
		}
	}
	return nil
}

// key reads the key of a member.
func (w *walker) key() {
	raw := w.text()
	key := raw[1 : len(raw)-1]
	if bytes.IndexByte(key, '\\') >= 0 {
		var decoded string
		_ = json.Unmarshal(raw, &decoded) // valid, as all of data
		key = []byte(decoded)
	}
	innermost := &w.open[len(w.open)-1]
	innermost.key = key
	w.keys = append(w.keys, key)
}

// text skips a string and returns it with its quotes.
func (w *walker) text() []byte {
	from := w.at
	for w.at++; w.data[w.at] != '"'; w.at++ {
		if w.data[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
	return w.data[from:w.at]
}

// value begins a value: all of a scalar, the opening of what holds others.
func (w *walker) value() *Error {
	if w.values++; w.values > MaxValues {
		return Refuse(TooLarge, w.path(), "got more than %d values, want at most that", MaxValues)
	}
	if len(w.open) > 0 {
		w.open[len(w.open)-1].count++
	}
	switch c := w.data[w.at]; {
	case c == '{' || c == '[':
		return w.enter(c == '{')
	case c == '"':
		w.text()
	case c == '-' || c >= '0' && c <= '9':
		return w.number()
	case c == 'f':
		w.at += len("false")
	default:
		w.at += len("true") // or null
	}
	return nil
}

func (w *walker) enter(object bool) *Error {
	if len(w.open) == MaxDepth {
		return Refuse(TooLarge, w.path(), "got lists and objects deeper than %d, want at most that", MaxDepth)
	}
	if object {
		if w.objects++; w.objects > MaxObjects {
			return Refuse(TooLarge, w.path(), "got more than %d objects, want at most that", MaxObjects)
		}
	}
	w.at++
	w.open = append(w.open, container{object: object, keys: len(w.keys)})
	return nil
}

// leave closes the innermost container and looks for keys that it has twice.
func (w *walker) leave() *Error {
	last := len(w.open) - 1
	closed := w.open[last]
	w.open = w.open[:last]
	if !closed.object {
		return nil
	}
	keys := w.keys[closed.keys:]
	slices.SortFunc(keys, bytes.Compare)
	for i := 1; i < len(keys); i++ {
		if bytes.Equal(keys[i-1], keys[i]) {
			return Refuse(Malformed, join(w.path(), keys[i]), "got the key twice, want it once")
		}
	}
	w.keys = w.keys[:closed.keys]
	return nil
}

func (w *walker) number() *Error {
	from := w.at
	for w.at < len(w.data) && bytes.IndexByte([]byte("+-.eE0123456789"), w.data[w.at]) >= 0 {
		w.at++
	}
	number := w.data[from:w.at]
	exponent := 0
	if i := bytes.IndexAny(number, "eE"); i >= 0 {
		exponent = len(bytes.TrimLeft(number[i+1:], "+-0"))
		number = number[:i]
	}
	if len(number) > MaxNumber || exponent > maxExponent {
		return Refuse(TooLarge, w.path(), "got a number of %d digits and %d of exponent, want at most %d and %d",
			len(number), exponent, MaxNumber, maxExponent)
	}
	return nil
}
