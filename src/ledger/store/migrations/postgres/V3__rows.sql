-- No question goes by a leg's channel.
DROP INDEX ledger_leg_channel;
