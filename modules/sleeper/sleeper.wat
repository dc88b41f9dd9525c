;; Does nothing until it is stopped. Written by hand: poll_oneoff with one subscription to the monotonic clock.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; A subscription: userdata u64 | tag u8 = 0 (clock), 7 bytes of padding | clock u32 = 1 (monotonic), 4 of padding |
  ;; timeout u64 = 3,600,000,000,000 ns (an hour) | precision u64 | flags u16 = 0 (relative).
  (data (i32.const 0)
    "\00\00\00\00\00\00\00\00"
    "\00\00\00\00\00\00\00\00"
    "\01\00\00\00\00\00\00\00"
    "\00\a0\b8\30\46\03\00\00"
    "\00\00\00\00\00\00\00\00"
    "\00\00\00\00\00\00\00\00")
  (func (export "_start")
    (loop $again
      ;; subscriptions at 0, events to 64, one of them, their count to 128
      (br_if $again (i32.eqz (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))
    ;; The clock could not be waited for: better to die than to spin.
    unreachable))
