package bounded

import (
	"regexp"
	"strconv"
)

// plain keys stand in a path as they are.
var plain = regexp.MustCompile(`^[@A-Za-z_][-@A-Za-z0-9_:]*$`)

// path is where the walk stands: the value that began last, or where that is
// closed, the container around it.
func (w *walker) path() string {
	path := ""
	for _, c := range w.open {
		switch {
		case c.count == 0: // nothing in it has begun
		case c.object:
			path = join(path, c.key)
		default:
			path = At(path, c.count-1)
		}
	}
	return path
}

// pathAt returns the path of the value of a checked document that begins last
// before an offset.
func pathAt(data []byte, offset int64) string {
	w := walker{data: data, stop: int(offset)}
	if err := w.walk(); err != nil {
		return err.Path
	}
	return w.path()
}

// maxKey is how much of a key stands in a path.
const maxKey = 64

func join(path string, key []byte) string {
	name := string(key[:min(len(key), maxKey)])
	switch {
	case !plain.MatchString(name):
		return path + "[" + strconv.Quote(name) + "]"
	case path == "":
		return name
	}
	return path + "." + name
}

// In is the path of a field of an object.
func In(path, field string) string { return join(path, []byte(field)) }

// At is the path of an element of a list.
func At(path string, index int) string { return path + "[" + strconv.Itoa(index) + "]" }
