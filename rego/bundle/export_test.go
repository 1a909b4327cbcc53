package bundle

import "time"

// StopsWithin has plugins waited for that long at the end.
func (m *Manager) StopsWithin(most time.Duration) { m.gate.ending.most = most }
