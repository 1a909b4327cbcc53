// Package news tells causes that are new from those that a log has already: a source that fails is
// polled each second, and says the same for days.
package news

import (
	"regexp"
	"sync"
)

// Causes are the latest causes of what fails, by name. The zero value has none.
type Causes struct {
	mu     sync.Mutex
	causes map[string]string
}

// New notes a cause, and says whether it is another one. Ports that a connection has by chance do not
// make it one.
func (c *Causes) New(name, cause string) bool {
	cause = regexp.MustCompile(`\S+->`).ReplaceAllString(cause, "")
	c.mu.Lock()
	defer c.mu.Unlock()
	before, failed := c.causes[name]
	if c.causes == nil {
		c.causes = map[string]string{}
	}
	c.causes[name] = cause
	return !failed || cause != before
}

// Over says whether that failed which no longer does.
func (c *Causes) Over(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, failed := c.causes[name]
	delete(c.causes, name)
	return failed
}
