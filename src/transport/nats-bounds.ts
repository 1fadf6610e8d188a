/**
 * Bounds and times of the transport over NATS, with the reason of each. They belong to the protocol between gateways and
 * runtimes, so that no operator sets them.
 */

/** A gateway refuses calls of a slot while more than this waits for the stream. */
export const slotFramesMax = 1000;
export const slotBytesMax = 8 * 1024 * 1024;
export const gatewayBytesMax = 64 * 1024 * 1024;
/** Frames that are no calls come all the same; past this many times the bounds above, what waits is given up. */
export const giveUpFactor = 4;

/** A frame without its acknowledgement is published again after this, then after twice as long, and so on. */
export const ackMs = 2000;
export const ackMsMax = 16_000;
/** Pause after the stream refused a frame. */
export const refusedPauseMs = 250;

/** Frames of one slot that a runtime has in hand, and how many it asks for at a time. */
export const inHandMax = 256;
export const pullFrames = 128;
/** Nothing more is asked for while frames of this many bytes are in hand, of all slots. */
export const inHandBytesMax = 64 * 1024 * 1024;
/** One pull brings at most this, or one message. */
export const pullBytes = 4 * 1024 * 1024;
/** A pull ends after this, which the server says, and is renewed: a sign of life. */
export const pullMs = 5000;
/**
 * A stream or consumer that vanished is made again after this. nats-server 2.9 says that it is deleted before its files are, and
 * would delete those of a successor that came at once; and whoever deleted it may be about to take the slot.
 */
export const makeAgainMs = 500;

/** A frame that the server has not heard of for so long is delivered again: it was lost with a connection. */
export const redeliverMs = 6000;
/** So often the server hears that a frame is still in hand. */
export const workingMs = 2000;
/** A frame that was delivered so often, or that outlived so many owners, is a dead letter. */
export const deliveriesMax = 5;

/** Frames wait this long for a missing one before them: longer than a redelivery takes. */
export const gapMs = 9000;
/** Frames wait this long for the presence of their gateway. */
export const unpresentedMs = 5000;
/**
 * Parts of a presence, and their text. One envelope cannot be parted: the list of all sessions of a slot, up to 14 bytes for each.
 * By default a gateway thread has at most 32,768, connected or waiting to come back, which makes 450 KiB; whoever allows more of
 * one slot's tenants raises max_payload of NATS.
 */
export const presencePartsMax = 4096;
export const presenceCharsMax = 64 * 1024 * 1024;
export const presenceMs = 5000;
/** After a hello gateways have at least this long to say who is there, and at most that long to finish. */
export const settleMs = 300;
export const settleMsMax = 2000;

/** Signs of life, and the silence after which a gateway is gone. */
export const beatMs = 1000;
export const silenceMs = 10_000;
/** What is known of a gateway that is gone is kept for this long: should it come back, nothing runs twice. */
export const forgetMs = 60 * 60 * 1000;
export const gatewaysMax = 10_000;

/** Text of one answer that came in several messages. */
export const joinedCharsMax = 256 * 1024 * 1024;
/** Room for the header of a message, and for what a dead letter adds. */
export const headerBytesMax = 1024;
/** Milliseconds for one request to JetStream. */
export const requestMs = 5000;
