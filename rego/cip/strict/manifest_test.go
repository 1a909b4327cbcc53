package strict

import (
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, data, want, wantErr string }{
		{"yaml", "kind: Pod\nspec: {n: 1, f: 1.5, ok: true, none: null, list: [a]}\n", `{"kind":"Pod","spec":{"f":1.5,"list":["a"],"n":1,"none":null,"ok":true}}`, ""},
		{"json", `{"a": "<b>"}`, `{"a":"<b>"}`, ""},
		{"empty documents beside one", "---\n---\na: b\n---\n", `{"a":"b"}`, ""},
		{"two documents", "a: b\n---\nc: d\n", "", "got 2 documents, want one"},
		{"no document", "# nothing\n", "", "got 0 documents, want one"},
		{"duplicate key", "a: b\na: c\n", "", "a"},
		{"number that JSON has not", "a: 0x10\n", "", "number: got 0x10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := JSON([]byte(tt.data))
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("got %s, %v, want an error with %q", got, err, tt.wantErr)
				}
				return
			}
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}
