package compile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// literal writes a Go value as Rego. It is the only way by which text of a
// policy becomes text of a module. Objects keep the order of the Go fields,
// which is the order of the CIP.
func literal(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		// The values are plain data of package cip, which marshal.
		panic("policy value: " + err.Error())
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	return write(decoder)
}

// maxLine is how long a list or an object may be to stand on one line.
const maxLine = 72

func write(decoder *json.Decoder) string {
	token, _ := decoder.Token() // Marshal wrote it: it is well formed
	switch token := token.(type) {
	case json.Delim:
		var parts []string
		for decoder.More() {
			part := write(decoder)
			if token == '{' {
				part += ": " + write(decoder)
			}
			parts = append(parts, part)
		}
		end, _ := decoder.Token()
		closing := end.(json.Delim).String()
		line := token.String() + strings.Join(parts, ", ") + closing
		if len(line) <= maxLine && !strings.Contains(line, "\n") {
			return line
		}
		return token.String() + "\n" + strings.Join(parts, ",\n") + ",\n" + closing
	case string:
		return quote(token)
	case json.Number:
		return token.String()
	case bool:
		return strconv.FormatBool(token)
	default:
		return "null"
	}
}

// block writes a text of several lines as it stands, if it may stand in a raw
// string, and else as any string.
func block(text string) string {
	strange := func(r rune) bool { return r == '`' || r != '\n' && r != '\t' && !unicode.IsPrint(r) }
	if !strings.Contains(text, "\n") || strings.ContainsFunc(text, strange) {
		return quote(text)
	}
	return "`" + text + "`"
}

// quote writes a string so that nothing in it can end it, or read as something
// else than it is: raw where that spares escapes, as regular expressions read
// best, and with every character escaped that does not print (line breaks, and
// those that turn the direction of writing).
//
// Rego's strings are JSON's. ast.String prints Go's, with escapes that Rego's
// own parser refuses.
func quote(text string) string {
	rawless := func(r rune) bool { return r == '`' || !unicode.IsPrint(r) }
	if strings.Contains(text, `\`) && !strings.ContainsFunc(text, rawless) {
		return "`" + text + "`"
	}
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"', r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r == '\n', r == '\r', r == '\t':
			out.WriteString(map[rune]string{'\n': `\n`, '\r': `\r`, '\t': `\t`}[r])
		case unicode.IsPrint(r):
			out.WriteRune(r)
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&out, `\u%04x`, unit)
			}
		}
	}
	out.WriteByte('"')
	return out.String()
}
